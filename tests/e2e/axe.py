"""What axe finds on a page, in both themes, wide and on a phone."""

from playwright.sync_api import Page

from actioncenter.ops.camera import VIEWS
from tests.e2e.site import ASSETS

LIGHT, _, _, PHONE = VIEWS
AXE = (ASSETS / "axe-core-4.14.1" / "axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """async (tags) => {
  const { violations } = await axe.run({ runOnly: { type: "tag", values: tags } });
  return violations.map((one) => `${one.id}: ${one.help} (${one.nodes.length}): ${one.nodes[0].target} ${one.nodes[0].failureSummary}`);
}"""


def violations(page: Page) -> dict[str, list[str]]:
    """In both themes, wide and on a phone; the page stays loaded."""
    found = {}
    page.evaluate(AXE)
    for width, height in ((LIGHT.width, LIGHT.height), (PHONE.width, PHONE.height)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found[f"{scheme} {width}"] = page.evaluate(RUN, TAGS)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": LIGHT.width, "height": LIGHT.height})
    return {name: broken for name, broken in found.items() if broken}
