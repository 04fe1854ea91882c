"use strict";
// Filters, sorting, values on hover and thresholds. All that it shows stands in the page without it.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text = "", about = {}) => {
    const node = document.createElement(tag);
    node.textContent = text;
    for (const [name, value] of Object.entries(about)) node.setAttribute(name, value);
    return node;
  };
  const plain = (node) => node.textContent.replace(/\s+/g, " ").trim();
  const nameOf = (cell) => plain(cell.querySelector("bdi") || cell);
  const main = document.getElementById("main");
  const tables = all(".part .data").filter((table) => !table.closest("details:not(.folded), .thresholds"));

  // Sort: a button in each heading. Numbers by size, what has none last.
  const numberOf = (text) => {
    const found = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "").match(/-?\d+(\.\d+)?(e[-+]?\d+)?/);
    return found ? Number(found[0]) : null;
  };
  for (const table of tables) {
    const body = table.tBodies[0];
    if (body.rows.length < 2) continue;
    const first = [...body.rows];
    all("thead th", table).forEach((head) => {
      const button = make("button", "", { type: "button", class: "sort" });
      const link = head.querySelector("a.term");
      if (link) button.title = link.title;
      button.append(make("bdi", nameOf(head)));
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const column = head.cellIndex;
        const numeric = head.classList.contains("right");
        const turns = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
        const turn = turns[(turns.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
        all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
        const rows = [...first];
        if (turn) {
          head.setAttribute("aria-sort", turn);
          const sign = turn === "ascending" ? 1 : -1;
          const key = (row) => nameOf(row.cells[column]);
          rows.sort((a, b) => {
            if (!numeric) return sign * key(a).localeCompare(key(b), undefined, { numeric: true });
            const [x, y] = [numberOf(key(a)), numberOf(key(b))];
            if (x === null || y === null) return (x === null) - (y === null);
            return sign * (x - y);
          });
        }
        body.append(...rows);
      });
    });
  }

  // Filter: by attribute (a topic), and by metric, method or group (a row, or a column).
  const topics = all(".topic[data-topic]");
  if (tables.length > 1) {
    const tools = make("div", "", { class: "tools", role: "search", "aria-label": "Filter" });
    const chosen = make("select");
    chosen.append(make("option", "all", { value: "" }));
    topics.forEach((topic, k) => chosen.append(make("option", topic.dataset.topic, { value: String(k) })));
    const about = make("label", "Show");
    about.append(chosen);
    const words = make("input", "", { type: "search", list: "names", autocomplete: "off" });
    const label = make("label", "Metric, method or group");
    label.append(words);
    const names = new Set();
    for (const table of tables) {
      all("thead th, tbody th", table).forEach((cell) => names.add(nameOf(cell)));
    }
    const list = make("datalist", "", { id: "names" });
    [...names].slice(0, 400).forEach((name) => list.append(make("option", "", { value: name })));
    const said = make("output", "", { "aria-live": "polite" });
    const clear = make("button", "Show all", { type: "button" });
    const hide = (node, hidden) => {
      node.hidden = hidden;
      node.classList.toggle("filtered", hidden);
    };
    const apply = () => {
      const text = words.value.trim().toLocaleLowerCase();
      topics.forEach((topic, k) => hide(topic, chosen.value !== "" && chosen.value !== String(k)));
      let left = 0;
      for (const table of tables) {
        const heads = [...table.tHead.rows[0].cells].map((cell) => nameOf(cell).toLocaleLowerCase());
        const wanted = heads.map((name, k) => k === 0 || name.includes(text));
        const byColumn = text !== "" && wanted.some((is, k) => is && k > 0);
        let shown = 0;
        for (const row of table.rows) {
          const cells = [...row.cells];
          cells.forEach((cell, k) => hide(cell, byColumn && !wanted[k]));
          if (row.parentElement === table.tHead) continue;
          const hit = byColumn || plain(row).toLocaleLowerCase().includes(text);
          hide(row, text !== "" && !hit);
          shown += !row.hidden;
        }
        hide(table.closest(".part"), text !== "" && shown === 0);
        const folded = table.closest("details.folded");
        if (folded && text !== "" && shown) folded.open = true;
        left += !table.closest("[hidden]") && shown;
      }
      all(".part").forEach((part) => {
        if (part.querySelector("figure, .thresholds")) hide(part, text !== "" && !plain(part).toLocaleLowerCase().includes(text));
      });
      said.textContent = text || chosen.value ? `${left} rows` : "";
    };
    chosen.addEventListener("change", apply);
    words.addEventListener("input", apply);
    clear.addEventListener("click", () => {
      chosen.value = words.value = "";
      apply();
    });
    // What a link leads to is never hidden.
    window.addEventListener("hashchange", () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (target && target.closest("[hidden]")) {
        clear.click();
        target.scrollIntoView();
      }
    });
    if (topics.length > 1) tools.append(about);
    tools.append(label, list, clear, said);
    main.prepend(tools);
  }

  // Values where a pointer rests, at once.
  const tip = make("div", "", { class: "tip", role: "status" });
  tip.hidden = true;
  document.body.append(tip);
  all(".tips rect").forEach((area) => {
    const title = area.querySelector("title");
    const text = title.textContent;
    area.addEventListener("pointerenter", (event) => {
      title.textContent = "";
      tip.textContent = text;
      tip.hidden = false;
      const width = Math.min(tip.offsetWidth, innerWidth - 16);
      tip.style.left = `${Math.max(8, Math.min(event.pageX + 12, scrollX + innerWidth - width - 8))}px`;
      tip.style.top = `${event.pageY + 16}px`;
    });
    area.addEventListener("pointerleave", () => {
      title.textContent = text;
      tip.hidden = true;
    });
  });

  // Rates by group at any threshold, from counts.
  const percent = (part, whole) => (whole ? ((100 * part) / whole).toFixed(1) : "\u2013");
  all(".thresholds").forEach((place) => {
    const found = JSON.parse(place.dataset.counts);
    const last = found.thresholds.length - 1;
    const slider = make("input", "", { type: "range", min: 0, max: last, step: 1 });
    slider.value = String(found.thresholds.findIndex((value) => value >= 0.5));
    const value = make("output");
    const label = make("label", "Threshold");
    label.append(slider, value);
    place.append(label);
    const rows = [];
    for (const panel of found.panels) {
      const table = make("table", "", { class: "data" });
      const head = table.createTHead().insertRow();
      for (const name of [panel.name, "n", "Selected", "TPR", "FPR", "Accuracy"]) {
        head.append(make("th", name, { scope: "col", class: name === panel.name ? "left" : "right" }));
      }
      const body = table.createTBody();
      for (const group of panel.groups) {
        const row = body.insertRow();
        row.append(make("th", group.name, { scope: "row", class: "left" }));
        const n = group.positives[0] + group.negatives[0];
        row.append(make("td", n.toLocaleString("en"), { class: "right" }));
        const cells = [0, 1, 2, 3].map(() => make("td", "", { class: "right" }));
        row.append(...cells);
        rows.push([group, n, cells]);
      }
      const scroll = make("div", "", { class: "scroll", tabindex: 0, role: "group", "aria-label": `Rates by ${panel.name}` });
      scroll.append(table);
      place.append(scroll);
    }
    const show = () => {
      const k = Number(slider.value);
      value.textContent = `${found.thresholds[k]}`;
      slider.setAttribute("aria-valuetext", value.textContent);
      for (const [group, n, cells] of rows) {
        const [tp, fp] = [group.positives[k], group.negatives[k]];
        const [positives, negatives] = [group.positives[0], group.negatives[0]];
        const texts = [percent(tp + fp, n), percent(tp, positives), percent(fp, negatives), percent(tp + negatives - fp, n)];
        cells.forEach((cell, c) => (cell.textContent = texts[c]));
      }
    };
    slider.addEventListener("input", show);
    show();
  });
})();
