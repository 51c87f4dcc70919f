package page

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// markdownClasses is how many classes Markdown shows: those of a page are too
// many for a comment.
const markdownClasses = 20

// Markdown writes the page for a pull request: the decision, the tables, the
// worst classes and rows, what was read and how.
func (p *Page) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", plain(p.Title))
	for i, line := range p.Decision {
		if i == 0 {
			fmt.Fprintf(&b, "**%s**\n\n", plain(line))
		} else {
			fmt.Fprintf(&b, "%s\n\n", plain(line))
		}
	}
	for _, line := range p.Warnings {
		fmt.Fprintf(&b, "> %s\n\n", plain(line))
	}
	for _, part := range p.Parts {
		if len(part.Tables) == 0 && part.Classes == nil && len(part.Rows) == 0 {
			continue // pictures alone
		}
		fmt.Fprintf(&b, "### %s\n\n", plain(part.Title))
		for _, t := range part.Tables {
			t.markdown(&b)
		}
		part.Classes.markdown(&b)
		for _, r := range part.Rows {
			r.markdown(&b)
		}
		if len(part.Rows) > 0 {
			b.WriteByte('\n')
		}
	}
	b.WriteString("<details><summary>What was read, and how</summary>\n\n")
	inputs := Table{Head: []string{"part", "file", "format", "type", "shape"}}
	for _, in := range p.Inputs {
		name := in.Name
		if in.SHA256 != "" {
			name += " (SHA-256 " + in.SHA256 + ")"
		}
		inputs.Rows = append(inputs.Rows, Texts(in.Part, name, in.Format, in.Type, in.Shape))
	}
	inputs.markdown(&b)
	command := Shell(p.Command)
	fence := "```"
	for strings.Contains(command, fence) {
		fence += "`"
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n\nzlpr %s, %s kernels\n\n</details>\n", fence, command, fence, plain(p.Version), plain(p.Tier))
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) markdown(b *strings.Builder) {
	columns := len(t.Head)
	for _, row := range t.Rows {
		columns = max(columns, len(row))
	}
	line := func(cells []string) {
		b.WriteByte('|')
		for i := range columns {
			if i < len(cells) {
				b.WriteString(" " + cells[i])
			}
			b.WriteString(" |")
		}
		b.WriteByte('\n')
	}
	var head []string
	for _, h := range t.Head {
		head = append(head, plain(h))
	}
	line(head)
	b.WriteString("|---|" + strings.Repeat("---:|", max(0, columns-1)) + "\n")
	for _, row := range t.Rows {
		var cells []string
		for _, c := range row {
			text := plain(c.Text)
			if c.Best && text != "" {
				text = "**" + text + "**"
			}
			cells = append(cells, text)
		}
		line(cells)
	}
	b.WriteByte('\n')
}

func (c *Classes) markdown(b *strings.Builder) {
	if c == nil {
		return
	}
	t := Table{Head: []string{"class"}}
	if c.Named {
		t.Head = append(t.Head, "name")
	}
	for _, h := range c.Head {
		t.Head = append(t.Head, h.Name)
	}
	for _, r := range c.Rows[:min(len(c.Rows), markdownClasses)] {
		cells := Texts(fmt.Sprint(r.Class))
		if c.Named {
			cells = append(cells, Cell{Text: r.Name})
		}
		for _, v := range r.Values {
			cells = append(cells, Cell{Text: Short(v)})
		}
		t.Rows = append(t.Rows, cells)
	}
	t.markdown(b)
	if rest := c.All - len(t.Rows); rest > 0 {
		fmt.Fprintf(b, "%d of %d classes.\n\n", len(t.Rows), c.All)
	}
}

func (r *Row) markdown(b *strings.Builder) {
	var labels, top []string
	for _, l := range r.Labels {
		labels = append(labels, plain(l))
	}
	if len(labels) == 0 {
		labels = []string{"none"}
	}
	more := ""
	if r.More > 0 {
		more = fmt.Sprintf(" and %d more", r.More)
	}
	for _, s := range r.Top {
		text := plain(s.Class) + " " + plain(s.Score)
		if s.Positive {
			text = "**" + text + "**"
		}
		top = append(top, text)
	}
	fmt.Fprintf(b, "- row %s, loss %s; labels: %s%s; highest: %s\n", plain(r.Row), plain(r.Loss), strings.Join(labels, ", "), more, strings.Join(top, ", "))
}

// plain returns a text that Markdown, and the HTML in it, takes for nothing but
// text, in one line.
func plain(s string) string {
	var b strings.Builder
	letter := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	all := []rune(s)
	for i, r := range all {
		switch {
		case r == '_' && i > 0 && i+1 < len(all) && letter(all[i-1]) && letter(all[i+1]): // within a word
			b.WriteRune(r)
		case strings.ContainsRune("\\`*_{}[]<>#!|~&@$", r):
			fmt.Fprintf(&b, "&#%d;", r)
		case r == '\n' || r == '\r' || r == '\t' || r == '\v' || r == '\f' || r == 0x2028 || r == 0x2029:
			b.WriteByte(' ')
		case unicode.IsControl(r):
			b.WriteRune(unicode.ReplacementChar)
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), "://", "&#58;//"), "www.", "www&#46;")
}
