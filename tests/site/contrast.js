// Every visible piece of text whose contrast with its ground is under WCAG's AA: 4.5, or 3 where it
// is large. Returns [{text, ratio, colour, ground, where}]. Views that bring their own colours
// (BertViz) and formulas' hidden copies are left out.
() => {
  const parse = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    return { rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1 };
  };
  const over = (top, below, alpha) => top.map((v, i) => v * alpha + below[i] * (1 - alpha));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => {
      const s = v / 255;
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(e).backgroundColor);
      if (alpha > 0) layers.push([rgb, alpha]);
      if (alpha === 1) break;
    }
    return layers.reverse().reduce((below, [rgb, alpha]) => over(rgb, below, alpha), [255, 255, 255]);
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || seen.has(element)) continue;
    seen.add(element);
    if (element.closest("script, style, noscript, title, mjx-assistive-mml, svg, .headerlink")) continue;
    if (element.closest("[id^=bertviz]") || !element.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const { rgb, alpha } = parse(style.color);
    const [light, dark] = [luminance(over(rgb, behind, alpha)), luminance(behind)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      weak.push({
        text: text.slice(0, 40), ratio: ratio.toFixed(2), colour: style.color, ground: behind.join(),
        where: `${element.tagName}.${element.className} in ${element.parentElement.className}`,
      });
    }
  }
  return weak;
}
