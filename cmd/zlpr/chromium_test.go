package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chromium returns the browser; the test is skipped where there is none, unless
// ZLPR_REQUIRE_CHROMIUM says that it must be there.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("ZLPR_REQUIRE_CHROMIUM") != "" {
		t.Fatal("no chromium")
	}
	t.Skip("SKIPPED: no chromium")
	return ""
}

// look is what the page says of itself once it is loaded.
type look struct {
	Loaded float64  // milliseconds until then
	Wide   []string // elements that are wider than the page lets them be
	Rows   int      // of the table by class
	Sorted bool     // whether a click on F1 sorts it, either way
	Found  string   // what the search finds
	Paper  string   // the colour behind the text
}

// probe is run in the page. An element may be wider than its parent where that
// scrolls.
const probe = `<script>
window.addEventListener("load", () => setTimeout(() => {
  const time = performance.getEntriesByType("navigation")[0];
  const wide = [];
  const scrolls = e => { for (; e; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX) && e !== document.documentElement && e !== document.body) return true; return false; };
  for (const e of document.body.querySelectorAll("*"))
    if (!(e instanceof SVGElement) && e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e.parentElement)) wide.push(e.tagName + " " + e.textContent.slice(0, 40));
  if (document.documentElement.scrollWidth > innerWidth) wide.push("the page");
  const table = document.getElementById("classes");
  const heads = [...table.tHead.rows[0].cells], i = heads.findIndex(h => h.textContent === "F1");
  const column = () => [...table.tBodies[0].rows].map(r => r.cells[i].textContent.trim()).filter(s => s !== "–").map(Number);
  const inOrder = (a, up) => a.every((v, k) => k === 0 || (up ? a[k - 1] <= v : a[k - 1] >= v));
  heads[i].firstElementChild.click();
  let sorted = inOrder(column(), true);
  heads[i].firstElementChild.click();
  sorted = sorted && inOrder(column(), false);
  const find = document.getElementById("find");
  find.value = "7"; find.dispatchEvent(new Event("input"));
  const report = {Loaded: time.loadEventEnd - time.startTime, Wide: wide, Rows: table.tBodies[0].rows.length, Sorted: sorted,
    Found: [...table.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[0].textContent.trim()).sort().join(" "),
    Paper: getComputedStyle(document.body).backgroundColor};
  parent.postMessage(JSON.stringify(report), "*");
}));
</script>`

// frame is a page that shows another at some width and writes what it says.
const frame = `<!DOCTYPE html><meta name="color-scheme" content="light dark"><pre id="said"></pre>
<script>addEventListener("message", e => document.getElementById("said").textContent = e.data)</script>
<iframe src="page.html" style="width:%dpx;height:900px;border:0"></iframe>`

// TestChromium looks at the page in a browser: no error on the console, nothing
// wider than the page on a screen and on a phone, light and dark, a table that is
// sorted and searched.
func TestChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: starts a browser")
	}
	browser := chromium(t)
	dir := t.TempDir()
	const rows, n = 400, 1000
	example[float32](t, dir, rows, n)
	names := make([]string, n)
	for i := range names {
		names[i] = []string{"class", "a longer name of a class, as they are in catalogues", strings.Repeat("unbroken", 12), `<img src=x onerror="throw 1">`}[i%4]
	}
	text, err := json.Marshal(names)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "names.json"), text, 0o644))
	page := evalPage(t, dir, "S.npy", "Y.npy", "--names", "names.json", "--loss", "zlpr,bce", "--hash")
	require.Less(t, len(page), 2_000_000)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "page.html"), []byte(strings.Replace(page, "</body>", probe+"</body>", 1)), 0o644))
	for _, width := range []int{1200, 390} {
		for _, dark := range []bool{false, true} {
			name := fmt.Sprintf("width %d, dark %v", width, dark)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "frame.html"), fmt.Appendf(nil, frame, width), 0o644))
			args := []string{"--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--user-data-dir=" + filepath.Join(dir, "profile"),
				"--window-size=1300,1000", "--virtual-time-budget=20000", "--dump-dom"}
			if dark {
				args = append(args, "--blink-settings=preferredColorScheme=0")
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, browser, append(args, "file://"+filepath.Join(dir, "frame.html"))...)
			var log strings.Builder
			cmd.Stderr = &log
			dom, err := cmd.Output()
			require.NoError(t, err, log.String())
			require.NotContains(t, log.String(), "CONSOLE", name)
			said := regexp.MustCompile(`(?s)<pre id="said">(.*?)</pre>`).FindSubmatch(dom)
			require.NotNil(t, said, name)
			var v look
			require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(string(said[1]))), &v), "%s: %s", name, said[1])
			require.Empty(t, v.Wide, name)
			require.Equal(t, n, v.Rows)
			require.True(t, v.Sorted, name)
			require.Equal(t, "7", v.Found)
			require.Equal(t, map[bool]string{false: "rgb(255, 255, 255)", true: "rgb(20, 24, 29)"}[dark], v.Paper)
			t.Logf("%s: loaded in %.0f ms", name, v.Loaded)
		}
	}
}
