# The disk of a test host under a systemd of its own, as first process and with a boot id of its own, in the host's network.
# Called with mounts of its own as: booting.sh FOLDER DISK NETWORK TOLD
set -eu
mount -t tmpfs -o size=256m,mode=755 boot "$1"
mkdir "$1/upper" "$1/work" "$1/top"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" boot "$1/top"
tar -x -C "$1/top" -f "$2"
: > "$1/top/etc/machine-id"
exec systemd-nspawn --quiet --boot --register=no --keep-unit --console=pipe --machine="$(basename "$1")" \
    --capability=CAP_NET_ADMIN --directory="$1/top" --network-namespace-path="$3" --bind="$4:/run/told" \
    -- --unit=lab-boot.target --show-status=0
