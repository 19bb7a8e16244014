"""What ipywidgets cannot say to JupyterLab: that keys typed into a panel are the panel's.

JupyterLab's shortcuts reach into outputs.  With a closed dropdown in focus, the arrow keys move
between cells and ``x`` cuts one (ipywidgets issue 3912).  JupyterLab leaves alone an element with
the attribute ``data-lm-suppress-shortcuts``, which no property of a widget sets.
"""

import anywidget
import traitlets

_SCRIPT = """
function render({ model, el }) {
  const mind = () => {
    const panel = el.closest(".redistill-panel");
    if (!panel) return requestAnimationFrame(mind);
    panel.addEventListener("focusin", (event) =>  // on the element itself: rules ask it first
      event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
    panel.setAttribute("role", "group");
    panel.setAttribute("aria-label", model.get("about"));
    panel.querySelector("img")?.setAttribute("alt", model.get("about"));
  };
  mind();
}
export default { render };
"""


class Manners(anywidget.AnyWidget):
    """Nothing to be seen: keeps the keys of its panel, and names panel and picture."""

    _esm = _SCRIPT
    about = traitlets.Unicode().tag(sync=True)
