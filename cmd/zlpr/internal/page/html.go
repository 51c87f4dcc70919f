package page

import (
	"html"
	"io"
	"math"
	"strconv"
	"strings"
)

// A markup is HTML as it is written. It is made without html/template, whose calls of
// methods by name have the linker keep every method of every type: a sixth of the binary.
type markup struct{ strings.Builder }

// put writes markup and texts by turns; texts are escaped, for elements and for quoted
// attributes.
func (m *markup) put(parts ...string) {
	for i, s := range parts {
		if i%2 == 1 {
			s = strings.ReplaceAll(html.EscapeString(s), "\x00", "\ufffd")
		}
		m.WriteString(s)
	}
}

// HTML writes the page.
func (p *Page) HTML(w io.Writer) error {
	var m markup
	m.put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>`, p.Title, "</title>\n<style>"+style+"</style>\n</head>\n<body>\n<header>\n<h1>", p.Title, "</h1>\n")
	for _, s := range p.Decision {
		m.put(`<p class="decision">`, s, "</p>\n")
	}
	for _, s := range p.Warnings {
		m.put(`<p class="warning">`, s, "</p>\n")
	}
	m.put("</header>\n<main>\n")
	for i := range p.Parts {
		m.part(&p.Parts[i])
	}
	m.inputs(p)
	m.put("</main>\n<script>" + script + "</script>\n</body>\n</html>\n")
	_, err := io.WriteString(w, m.String())
	return err
}

func (m *markup) part(p *Part) {
	m.put("<section>\n<h2>", p.Title, "</h2>\n")
	if p.Note != "" {
		m.put(`<p class="note">`, p.Note, "</p>\n")
	}
	if len(p.Tables) > 0 {
		m.put(`<div class="tables">`)
		for i := range p.Tables {
			m.table(&p.Tables[i])
		}
		m.put("</div>\n")
	}
	if len(p.Figures) > 0 {
		m.put(`<div class="figures">`)
		for _, f := range p.Figures {
			m.put("<figure>" + f.SVG)
			if f.Caption != "" {
				m.put("<figcaption>", f.Caption, "</figcaption>")
			}
			m.put("</figure>\n")
		}
		m.put("</div>\n")
	}
	for i := range p.Rows {
		m.row(&p.Rows[i])
	}
	if p.Classes != nil {
		m.classes(p.Classes)
	}
	m.put("</section>\n")
}

func (m *markup) table(t *Table) {
	m.put("<div class=\"wide\"><table>\n")
	if len(t.Head) > 0 {
		m.put("<thead><tr>")
		for _, s := range t.Head {
			m.put(`<th scope="col">`, s, "</th>")
		}
		m.put("</tr></thead>\n")
	}
	m.put("<tbody>\n")
	for _, row := range t.Rows {
		m.put("<tr>")
		for i, c := range row {
			switch {
			case i == 0:
				m.put(`<th scope="row">`, c.Text, "</th>")
			case c.Best:
				m.put("<td><b>", c.Text, "</b></td>")
			default:
				m.put("<td>", c.Text, "</td>")
			}
		}
		m.put("</tr>\n")
	}
	m.put("</tbody></table></div>\n")
}

func (m *markup) row(r *Row) {
	m.put(`<article class="row"><h3>row `, r.Row, " <span>loss ", r.Loss, "</span></h3>\n<p><b>labels</b> ")
	for i, s := range r.Labels {
		if i > 0 {
			m.put(", ")
		}
		m.put("<i>", s, "</i>")
	}
	if len(r.Labels) == 0 {
		m.put("none")
	}
	if r.More != 0 {
		m.put(" and " + strconv.Itoa(r.More) + " more")
	}
	m.put("</p>\n<ol>")
	for _, s := range r.Top {
		hit := ""
		if s.Positive {
			hit = ` class="hit"`
		}
		m.put("<li"+hit+">", s.Class, " <span>", s.Score, "</span></li>")
	}
	m.put("</ol></article>\n")
}

func (m *markup) classes(c *Classes) {
	find, name := "number", ""
	if c.Named {
		find, name = "number or name", `<th scope="col" class="name"><button type="button">name</button></th>`
	}
	m.put(`<p class="find"><label>find <input type="search" id="find" placeholder="`, find, `" autocomplete="off"></label> <output id="found"></output></p>
<div class="wide"><table id="classes">
<thead><tr><th scope="col"><button type="button">class</button></th>`+name)
	for _, h := range c.Head {
		m.put(`<th scope="col"`)
		if h.Help != "" {
			m.put(` title="`, h.Help, `"`)
		}
		m.put(`><button type="button">`, h.Name, "</button></th>")
	}
	m.put("</tr></thead>\n<tbody>\n")
	for _, v := range c.Rows {
		m.put("<tr><td>" + strconv.Itoa(v.Class))
		if c.Named {
			m.put("<td class=name>", v.Name)
		}
		for i, x := range v.Values {
			if c.Head[i].Bar && !math.IsNaN(x) {
				m.put(`<td class=b style="--b:` + strconv.FormatFloat(100*min(max(x, 0), 1), 'f', 0, 64) + `%">`)
			} else {
				m.put("<td>")
			}
			m.put("", Short(x))
		}
		m.put("\n")
	}
	m.put("</tbody></table></div>\n")
}

// inputs writes what was read, and how.
func (m *markup) inputs(p *Page) {
	m.put(`<section>
<h2>What was read, and how</h2>
<div class="wide"><table>
<thead><tr><th scope="col">part</th><th scope="col" class="text">file</th><th scope="col">format</th><th scope="col">type</th><th scope="col">shape</th></tr></thead>
<tbody>`)
	for _, f := range p.Inputs {
		m.put(`<tr><th scope="row">`, f.Part, `</th><td class="text">`, f.Name)
		if f.SHA256 != "" {
			m.put("<br><code>", f.SHA256, "</code>")
		}
		m.put("</td><td>", f.Format, "</td><td>", f.Type, "</td><td>", f.Shape, "</td></tr>\n")
	}
	m.put("</tbody></table></div>\n")
	if len(p.Parameters) > 0 {
		m.put(`<p class="note">`)
		for i, v := range p.Parameters {
			if i > 0 {
				m.put(" · ")
			}
			m.put("", v[0], " ", v[1])
		}
		m.put("</p>\n")
	}
	m.put("<pre>", Shell(p.Command), "</pre>\n<p class=\"note\">zlpr ", p.Version, ", ", p.Tier, " kernels")
	if p.Time != "" {
		m.put(", ", p.Time)
	}
	m.put("</p>\n</section>\n")
}
