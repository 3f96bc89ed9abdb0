"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);

// the language: remembered where the browser lets us
function speak(language) {
  document.body.classList.toggle("en-on", language === "en");
  document.body.classList.toggle("zh-on", language === "zh");
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  $("language").textContent = language === "zh" ? "English" : "中文";
  $("language").lang = language === "zh" ? "en" : "zh";
  try { localStorage.setItem("language", language); } catch (e) { /* a private window */ }
}
let first = (navigator.language || "en").startsWith("zh") ? "zh" : "en";
try { first = localStorage.getItem("language") || first; } catch (e) { /* the same */ }
speak(first);
$("language").onclick = () => {
  const top = [...document.querySelectorAll(".card")].find(c => c.getBoundingClientRect().bottom > 80);
  const at = top && top.getBoundingClientRect().top;
  speak(document.body.classList.contains("zh-on") ? "en" : "zh");
  if (top) window.scrollBy({top: top.getBoundingClientRect().top - at, behavior: "instant"});
};
$("values").onclick = () => $("values").setAttribute("aria-pressed", String(!document.body.classList.toggle("bare")));
$("menu").onclick = () => $("menu").setAttribute("aria-expanded", String($("contents").classList.toggle("open")));
$("contents").onclick = e => { if (e.target.closest("a")) $("contents").classList.remove("open"); };

// a click on a name marks it and its gradient; a click on a numbered line marks it and its inverse
function clear(box) { box.querySelectorAll(".on").forEach(x => x.classList.remove("on")); }
document.addEventListener("click", e => {
  const name = e.target.closest(".n"), line = e.target.closest(".l[data-k] > u"), chip = e.target.closest("button.v");
  if (name) {
    const box = name.closest(".pair") || name.closest(".src"), was = name.classList.contains("on");
    clear(box);
    if (!was) box.querySelectorAll(`.n[data-n="${CSS.escape(name.dataset.n)}"]`).forEach(x => x.classList.add("on"));
  } else if (line) {
    const box = line.closest(".pair"), wanted = line.parentNode.dataset.k.split(","), was = line.parentNode.classList.contains("on");
    clear(box);
    if (!was) box.querySelectorAll(".l[data-k]").forEach(l => {
      if (l.dataset.k.split(",").some(k => wanted.includes(k))) l.classList.add("on");
    });
  } else if (chip) show(chip);
  const cell = e.target.closest("[data-say]");
  if (cell) tell(cell);
});
document.addEventListener("mouseover", e => { const cell = e.target.closest("[data-say]"); if (cell) tell(cell); });
function tell(cell) {
  const said = cell.closest("figure") && cell.closest("figure").querySelector(".said");
  if (said) said.textContent = cell.dataset.say;
}

// the whole matrix behind a line
function names(part, n, rows) {
  const words = data.axes[part];
  if (words && words.length === n) return words;
  if (n === data.vocab.length) return data.vocab;
  return [...Array(n).keys()].map(String);
}
function table(item, at, part) {
  const s = item.s, n = s[s.length - 1], m = s.length > 1 ? s[s.length - 2] : 1, t = document.createElement("table");
  const numbers = item.d.filter(x => typeof x === "number"), most = Math.max(...numbers.map(Math.abs), 1e-12);
  const head = t.insertRow(), across = names(part, n), down = s.length > 1 ? names(part, m) : [""];
  head.append(document.createElement("th"));
  for (const word of across) { const h = document.createElement("th"); h.textContent = word; head.append(h); }
  for (let i = 0; i < m && at + (i + 1) * n <= item.d.length; i++) {
    const row = t.insertRow(), h = document.createElement("th");
    h.textContent = down[i]; row.append(h);
    for (let j = 0; j < n; j++) {
      const x = item.d[at + i * n + j], c = row.insertCell();
      c.textContent = typeof x === "number" ? (Number.isInteger(x) ? x : x.toPrecision(3).replace(/\.?0+(e|$)/, "$1")) : x;
      if (typeof x === "number") {
        const a = (0.75 * Math.abs(x) / most).toFixed(3);
        c.style.background = x > 0 ? `rgba(209,122,34,${a})` : `rgba(63,111,176,${a})`;
      }
    }
  }
  return t;
}
function show(chip) {
  const item = data.values[+chip.dataset.v], box = $("matrix"), s = item.s, part = chip.dataset.part;
  box.textContent = "";
  $("panel-name").textContent = chip.querySelector("b").textContent + " (" + s.join(", ") + ")";
  const size = s.slice(-2).reduce((a, b) => a * b, 1), outer = s.slice(0, -2);
  const count = Math.min(outer.reduce((a, b) => a * b, 1), Math.ceil(item.d.length / size));
  for (let k = 0; k < count; k++) {
    if (outer.length) {
      let rest = k; const place = [];
      for (const n of [...outer].reverse()) { place.unshift(rest % n); rest = Math.floor(rest / n); }
      const p = document.createElement("p"); p.textContent = "[" + place.join(", ") + "]"; box.append(p);
    }
    box.append(table(item, k * size, part));
  }
  if (item.d.length < s.reduce((a, b) => a * b, 1)) box.append("…");
  $("panel").hidden = false;
}
$("close").onclick = () => { $("panel").hidden = true; };
document.addEventListener("keydown", e => { if (e.key === "Escape") $("panel").hidden = true; });
