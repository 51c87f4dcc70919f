// Command zlpr evaluates score matrices on disk with the losses of package
// zlpr, trains linear multi-label models with them, and draws subsets.
//
//	go run ./cmd/zlpr eval    # an embedded sample
//	go run ./cmd/zlpr train   # a corpus made from Go's own source
//
// It exits with status 0, with 1 for an error in the data, with 2 for an error
// in the arguments, and with 130 after Ctrl-C. Errors are one line on standard
// error. Output files appear only when they are complete and standard output
// has been written.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	s := newSession(os.Stdout, os.Stderr)
	s.interruptible()
	os.Exit(s.run(os.Args[1:]))
}

func newRoot(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:           "zlpr",
		Short:         "Multi-label losses: evaluate, train, predict, sample",
		Long:          "Evaluates scores on disk with ZLPR and its family of losses, trains linear\nmulti-label models with them, and draws k-subsets.",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, _ := cmd.Flags().GetBool("version"); asked {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "zlpr "+version())
				return err
			}
			return cmd.Help()
		},
	}
	root.SetOut(helpWriter{s.stdout}) // before completion, which keeps it
	root.SetErr(s.stderr)
	root.AddCommand(newEval(s), newMerge(s), newScan(s), newTrain(s), newCompare(s), newPredict(s), newTune(s), newConvert(s), newSample(s), newExplain(s), newVersion(s))
	root.AddCommand(newDiff(s), newCalibrate(s))
	root.Flags().BoolP("version", "v", false, "version for zlpr") // cobra's own is a template
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	root.SetFlagErrorFunc(flagError)
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion": // a shell that is none is an error
			c.Args = noArgs
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range c.Commands() {
				shell.Args = noArgs
			}
		case "help":
			c.Args, c.RunE = cobra.ArbitraryArgs, help
		case "version":
			c.Args = noArgs
		}
	}
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(root, args[0])
		}
		return nil
	}
	return root
}

// unknownCommand is the error of a command that is none.
func unknownCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return usagef("unknown command %q%s; see zlpr --help", name, didYouMean(name, "", names))
}

// help prints the help of a command.
func help(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return unknownCommand(cmd.Root(), strings.Join(args, " "))
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}
