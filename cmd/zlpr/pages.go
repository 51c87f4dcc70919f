package main

import (
	"github.com/zlpr/zlpr"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/figure"
	"github.com/zlpr/zlpr/cmd/zlpr/internal/page"
	"github.com/zlpr/zlpr/internal/atomicfile"
)

// pageFlags ask for what a sub-command found as a page.
type pageFlags struct {
	html, markdown string
}

// How the names of pages end.
var (
	htmlEndings     = []string{".html", ".htm"}
	markdownEndings = []string{".md", ".markdown"}
)

// table is the flags.
func (f *pageFlags) table() flagTable {
	return flagTable{
		{name: "html", to: &f.html, file: output, ends: htmlEndings, doc: "write the result as a page with pictures, which needs no other file, to this\n.html `file`"},
		{name: "markdown", to: &f.markdown, file: output, ends: markdownEndings, doc: "write the same without pictures, for a pull request, to this .md `file`"},
	}
}

// asksPage tells whether a page is asked for.
func (f *pageFlags) asksPage() bool { return f.html != "" || f.markdown != "" }

// writePage writes a page, with the command that made it, to the files that are
// asked for.
func (f *pageFlags) writePage(s *session, p *page.Page, files map[string]*atomicfile.File) error {
	p.Command, p.Version, p.Tier = s.command, version(), zlpr.Tier()
	if f.html != "" {
		if err := fileError(f.html, p.HTML(files[f.html])); err != nil {
			return err
		}
	}
	if f.markdown != "" {
		return fileError(f.markdown, p.Markdown(files[f.markdown]))
	}
	return nil
}

// addFigure adds a picture to a part of a page.
func addFigure(part *page.Part, p *figure.Plot, caption string) {
	part.Figures = append(part.Figures, page.Figure{SVG: figure.Inline(p), Caption: caption})
}
