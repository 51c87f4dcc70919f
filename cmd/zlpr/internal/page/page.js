(() => {
  const table = document.getElementById("classes");
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const named = heads[1].className === "name";
  const found = document.getElementById("found"), find = document.getElementById("find");
  const value = (row, i) => {
    const text = row.cells[i].textContent.trim();
    return heads[i].className === "name" ? text.toLowerCase() : text === "–" ? NaN : Number(text);
  };
  heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const keyed = rows.map(row => [value(row, i), row]);
    keyed.sort(([a], [b]) => {
      if (a !== a || b !== b) return (a !== a) - (b !== b); // without a value: last
      return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
    });
    body.append(...keyed.map(([, row]) => row));
  }));
  find.addEventListener("input", () => {
    const want = find.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const hit = want === "" || row.cells[0].textContent.trim() === want || named && row.cells[1].textContent.toLowerCase().includes(want);
      row.hidden = !hit;
      count += hit;
    }
    found.value = want === "" ? "" : count + " of " + rows.length;
  });
})();
