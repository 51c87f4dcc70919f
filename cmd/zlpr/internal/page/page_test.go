package page

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile are texts that would be more than text if they were not escaped.
var hostile = []string{
	`<script>alert(1)</script>`, `</style><img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `' onmouseover='alert(1)`,
	`{{.Title}}`, "a\nb\r\nc\td", "\x00\x1b[31m\u202e", `javascript:alert(1)`, `</table></div><h1>`, "&lt;b&gt;", `| a | b |`, "`code` ```fence```",
	`[link](https://example.org)`, `![pic](http://example.org/x.png)`, `**bold** _it_ ~~no~~ #1 @user`, `<!--`, `]]>`, "https://example.org www.example.org",
	`$x^2$`, `\`, "\xff\xfe", strings.Repeat("long", 200),
}

// filled is a page whose every text is s.
func filled(s string) *Page {
	row := Texts(s, s, s)
	row[1].Best = true
	return &Page{
		Title: s, Decision: []string{s, s}, Warnings: []string{s},
		Parts: []Part{{Title: s, Note: s, Tables: []Table{{Head: []string{s, s, s}, Rows: [][]Cell{row}}},
			Figures: []Figure{{SVG: `<svg viewBox="0 0 1 1"></svg>`, Caption: s}},
			Rows:    []Row{{Row: s, Loss: s, Labels: []string{s}, More: 2, Top: []Score{{s, s, true}, {s, s, false}}}, {Row: s}},
			Classes: &Classes{All: 3, Named: true, Head: []Column{{s, true, s}, {s, false, ""}}, Rows: []Class{{1, s, []float64{0.5, 3}}, {2, s, []float64{math.NaN(), 0}}}}}},
		Inputs:     []Input{{s, s, s, s, s, s}},
		Parameters: [][2]string{{s, s}},
		Command:    []string{"zlpr", s}, Version: s, Tier: s, Time: s,
	}
}

// tags are the elements of a text in HTML, with their attributes, but for texts.
func tags(html string) []string {
	html = regexp.MustCompile(`title="[^"]*"`).ReplaceAllString(html, `title=""`)
	return regexp.MustCompile(`<[^>]*>`).FindAllString(html, -1)
}

// TestHostile: whatever the texts are, the page has the elements of a page of
// plain texts.
func TestHostile(t *testing.T) {
	var b strings.Builder
	require.NoError(t, filled("text").HTML(&b))
	want := tags(b.String())
	for _, s := range hostile {
		var b strings.Builder
		require.NoError(t, filled(s).HTML(&b))
		require.Equal(t, want, tags(b.String()), s)
	}
}

// TestSelfContained: the page names nothing that is not in it.
func TestSelfContained(t *testing.T) {
	var b strings.Builder
	require.NoError(t, filled("text").HTML(&b))
	require.NotRegexp(t, `(?i)https?:|//[a-z]+\.|@import|url\(|src=|href=`, strings.ReplaceAll(b.String(), "http://www.w3.org/2000/svg", ""))
	require.Contains(t, b.String(), `--b:50%`)
	require.Contains(t, b.String(), "default-src 'none'")
	require.Equal(t, 1, strings.Count(b.String(), "<script>"))
}

// TestHostileMarkdown: texts stay texts: tables keep their cells, nothing is
// markup, a link or a mention.
func TestHostileMarkdown(t *testing.T) {
	shape := func(s string) (lines []string) {
		var b strings.Builder
		require.NoError(t, filled(s).Markdown(&b))
		text := regexp.MustCompile("(?s)(`{3,})\nzlpr .*?\n(`{3,})\n").ReplaceAllString(b.String(), "fence\n")
		for line := range strings.Lines(text) {
			line = strings.ReplaceAll(line, "**", "")
			if strings.HasPrefix(line, "|") {
				line = regexp.MustCompile(`[^|\n]+`).ReplaceAllString(line, " ")
			} else {
				line = line[:min(3, len(line))]
			}
			lines = append(lines, line)
		}
		require.NotRegexp(t, `<(/?[a-zA-Z!])`, regexp.MustCompile(`</?(details|summary)>`).ReplaceAllString(text, ""), s)
		require.NotRegexp(t, `\]\(|://|www\.|@user`, text, s)
		return lines
	}
	require.Len(t, shape("text"), len(shape("other")))
	for _, s := range hostile {
		require.Len(t, shape(s), len(shape("text")), s)
	}
}

func TestShell(t *testing.T) {
	for word, want := range map[string]string{"a.npy": "a.npy", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "out/s-*.npy": "'out/s-*.npy'",
		"a\nb'": `$'a\nb\''`, "$(rm -rf)": "'$(rm -rf)'", "ä": "'ä'"} {
		require.Equal(t, want, Shell([]string{word}))
	}
	require.Equal(t, "zlpr eval 'a b'", Shell([]string{"zlpr", "eval", "a b"}))
}

func TestShort(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 0.123456: "0.1235", 1e6: "1000000", math.Inf(1): "+Inf", 1234.5: "1234"} {
		require.Equal(t, want, Short(x))
	}
	require.Equal(t, "–", Short(math.NaN()))
}
