package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func newExplain(s *session) *cobra.Command {
	var loss string
	cmd := &cobra.Command{
		Use:   "explain [LOSS]",
		Short: "Formula, gradient, use and paper of a loss",
		Long: `Prints the formula of a loss, its gradient, when to use it, and where it is
from. Without a name it lists the losses:

` + lossLines(lossNames),
		Example: "  zlpr explain\n  zlpr explain zlpr",
		RunE: func(*cobra.Command, []string) error {
			return s.finish(func(w io.Writer) error {
				if loss == "" {
					_, err := io.WriteString(w, lossLines(lossNames))
					return err
				}
				return findLoss(loss).explain(w)
			})
		},
	}
	flagTable{{name: "loss", to: &loss, words: lossNames, arg: true, doc: "the loss"}}.declare(cmd, s, func() error {
		if loss != "" && findLoss(loss) == nil {
			return unknownLoss(loss, lossNames)
		}
		return nil
	})
	return cmd
}

// explain prints all that the command says of a loss.
func (e *lossEntry) explain(w io.Writer) error {
	var b strings.Builder
	part := func(title, text string) {
		fmt.Fprintf(&b, "\n%s\n", title)
		for line := range strings.Lines(text + "\n") {
			b.WriteString("  " + line)
		}
	}
	fmt.Fprintln(&b, e.name)
	part("formula, of a row of scores s", e.formula)
	part("gradient", e.gradient)
	part("when to use it", e.when)
	if e.flags != "" {
		part("flags", e.flags)
	}
	part("papers", strings.Join(e.papers, "\n"))
	_, err := io.WriteString(w, b.String())
	return err
}
