// Command bdia trains transformers with exact reversible back-propagation.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // with nothing to save, or by a second Ctrl-C
)

// usageError marks an error of how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage marks err, if there is one, as the caller's.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// errMismatch ends verify when something differed; the report has been printed.
var errMismatch = errors.New("not exact: see the report")

func main() {
	ctx, stop := interruptible(os.Stderr)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes the command line args and returns the exit code. The end of ctx
// is a Ctrl-C.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	checked := &checkedWriter{w: out}
	root.SetOut(checked)
	root.SetErr(errOut)
	checkBuiltins(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = checked.err
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(errOut, "bdia: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(errOut, "bdia: %s\n", explain(err))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

// checkedWriter remembers the first failure of w, so that a command whose result
// is lost, on a full disk say, does not succeed.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("writing the output: %w", err)
	}
	return n, err
}

// interruptible returns a context that the first Ctrl-C ends, or the end of the
// terminal, so that commands can save and leave; a second Ctrl-C stops the process at
// once.
func interruptible(errOut io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		for s := range signals {
			switch {
			case ctx.Err() == nil:
				cancel()
				if isTerminal(errOut) {
					fmt.Fprintln(errOut, "\nStopping; Ctrl-C again stops at once.")
				}
			case s != syscall.SIGHUP: // a terminal that is gone may tell it more than once
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel() }
}

// oneLine joins the lines of an error, which are errors of their own, and leaves out
// the program's name, which is the root package's prefix too.
func oneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimPrefix(strings.Join(lines, "; "), "bdia: ")
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "bdia",
		Short: "Train transformers with exact reversible back-propagation",
		Long: `bdia trains transformers in memory that hardly grows with depth. The backward
pass rebuilds every activation bit for bit instead of storing it (the BDIA
transformer, arXiv 2407.09093); what comes out is an ordinary transformer in
Hugging Face's layout.

Start with: bdia quickstart

Exit codes: 0 done, or interrupted and saved; 1 failed; 2 called wrongly;
130 interrupted with nothing to save: what was written by then stays.`,
		Version:                    version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       knownCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(newQuickstart(), newTrain(), newFinetune(), newEval(), newGenerate(), newTranslate(), newClassify(), newCompare(), newVerify(), newPlan(), newBench(), newTokenizer(), newScore(), newExport())
	return root
}

// checkBuiltins makes cobra's own commands refuse what they do not know. It comes
// after SetOut, which the completion commands look at when they are made.
func checkBuiltins(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				found, rest, _ := root.Find(args)
				return knownCommand(found, rest)
			}
		case "completion":
			c.Args = knownCommand
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// version describes this build: module version or commit, Go release, platform.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown version"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return fmt.Sprintf("%s (%s, %s/%s)", v, info.GoVersion, settings["GOOS"], settings["GOARCH"])
}
