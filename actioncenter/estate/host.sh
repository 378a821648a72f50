#!/bin/sh
# First process of a test host: its own mounts over the machine's, its own name, keys and people, then sshd.
# Called inside new namespaces as: host.sh FOLDER NAME ADDRESS4 ADDRESS6, with the admin's public key on fd 3.
set -eu
folder=$1 name=$2 address4=$3 address6=$4

mount --make-rprivate /
mount -t tmpfs -o size=256m,mode=755 lab "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/top"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" lab "$folder/top"
cd "$folder/top"
mount -t proc proc proc
mount -t sysfs sysfs sys
# Devices of its own: what somebody does to those of a test host must not reach the machine's.
mount -t tmpfs -o mode=755 dev dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 dev/tty c 5 0
mkdir -m 1777 dev/shm
mkdir dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "dev/${number#*:}"
done
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 run run
mkdir -p run/outside
pivot_root . run/outside
umount -l /run/outside
cd /

hostname "$name"
echo "$name" > /etc/hostname
echo "127.0.1.1 $name" >> /etc/hosts
mkdir -p /run/sshd /run/lock /root/.ssh /etc/ssh/sshd_config.d /srv/share
chmod 700 /root/.ssh
cat <&3 > /root/.ssh/authorized_keys
# Where the product itself is installed on this machine, nothing of it is part of a test host.
userdel actioncenter 2>/dev/null || true
rm -rf /usr/local/lib/actioncenter /var/lib/actioncenter
rm -f /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d/* /etc/sudoers.d/actioncenter*
ssh-keygen -q -t ed25519 -N '' -C "$name" -f /etc/ssh/ssh_host_ed25519_key
for person in ana bo; do
    useradd -M -d "/home/$person" -s /bin/sh -p '*' "$person"
    mkdir -p "/home/$person/Downloads"
    chown -R "$person:" "/home/$person"
done
cat > /etc/ssh/sshd_config <<END
Include /etc/ssh/sshd_config.d/*.conf
ListenAddress $address4
ListenAddress [$address6]
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
LogLevel VERBOSE
PidFile /run/sshd.pid
END
# Not exec: somebody has to reap what others leave behind.
/usr/sbin/sshd -D -e
exit 1
