package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/zlpr/zlpr/internal/named"
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
				return explainLoss(w, named.FindLoss(loss))
			})
		},
	}
	flagTable{{name: "loss", to: &loss, words: lossNames, arg: true, doc: "the loss"}}.declare(cmd, s, func() error {
		if cmd.Flags().Changed("loss") && named.FindLoss(loss) == nil {
			return unknownLoss(loss, lossNames)
		}
		return nil
	})
	return cmd
}

// explainLoss prints all that the command says of a loss.
func explainLoss(w io.Writer, e *named.Loss) error {
	var b strings.Builder
	part := func(title, text string) {
		fmt.Fprintf(&b, "\n%s\n", title)
		for line := range strings.Lines(text + "\n") {
			b.WriteString("  " + line)
		}
	}
	fmt.Fprintln(&b, e.Name)
	part("formula, of a row of scores s", e.Formula)
	part("gradient", e.Gradient)
	part("when to use it", e.When)
	if e.Flags != "" {
		part("flags", e.Flags)
	}
	part("papers", strings.Join(e.Papers, "\n"))
	_, err := io.WriteString(w, b.String())
	return err
}
