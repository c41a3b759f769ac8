"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  // Colours are named in the charts and defined in the style sheet, for light, dark and print.
  const colours = (value, style) => {
    if (Array.isArray(value)) return value.map((v) => colours(v, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, colours(v, style)]));
    }
    const named = typeof value === "string" && /^var\((--[a-z0-9]+)\)$/.exec(value);
    return named ? style.getPropertyValue(named[1]).trim() : value;
  };
  const axis = (given, narrow) => ({
    gridcolor: "var(--line)", zerolinecolor: "var(--line)", linecolor: "var(--soft)",
    automargin: true, ...given, ...(narrow ? { nticks: 4 } : {}),
  });
  const draw = (width) => {
    const style = getComputedStyle(document.documentElement);
    for (const chart of charts) {
      const place = document.getElementById(`chart-${chart.name}`);
      const narrow = (width || place.clientWidth) < 480;
      const { xaxis, yaxis, ...rest } = chart.layout;
      const layout = {
        height: chart.height, width: width || place.clientWidth,
        margin: { l: 8, r: 16, t: 8, b: 40 },
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: narrow ? 11 : 12, color: "var(--ink)" },
        hoverlabel: { bgcolor: "var(--panel)", font: { color: "var(--ink)" } },
        legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
        dragmode: false, ...rest, xaxis: axis(xaxis, narrow), yaxis: axis(yaxis, false),
      };
      Plotly.react(place, colours(chart.data, style), colours(layout, style),
        { displayModeBar: false, responsive: false });
    }
  };
  const redraw = () => draw(0);
  draw(0);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 120); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
    draw(640);
  });
  addEventListener("afterprint", redraw);
})();
