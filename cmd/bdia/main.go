// Command bdia trains transformers with exact reversible back-propagation.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	_ "github.com/bdia-go/bdia/data/parquet" // files of rows
	"github.com/bdia-go/bdia/internal/sysmem"
)

// errMismatch ends verify when something differed; the report has been printed.
var errMismatch = errors.New("not exact: see the report")

func main() {
	if n := sysmem.Addresses(); n > 0 {
		fmt.Fprintf(os.Stderr, "bdia: the limit of virtual memory (ulimit -v) is %s, and Go's runtime reserves 1.1 GiB of it: give at least 2 GiB, or limit memory by ulimit -d or a control group\n", cli.Bytes(int64(n)))
		os.Exit(cli.ExitFailure)
	}
	ctx, _ := cli.Interruptible(os.Stderr) // to the end: a signal after the work is done does not change its exit code
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes the command line args and returns the exit code. The end of ctx is a Ctrl-C.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	full, err := fullArgs(args)
	root.SetArgs(full)
	root.SetIn(in)
	checked := &cli.Output{W: out}
	root.SetOut(checked)
	root.SetErr(errOut)
	cli.CheckBuiltins(root)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		err = checked.Err()
	}
	code, text := exitCode(err), ""
	switch code {
	case cli.ExitOK, cli.ExitStopped:
		return code
	}
	if errors.Is(err, cli.ErrUnsaved) { // it has been said
		return code
	}
	switch code {
	case cli.ExitInterrupted:
		text = "interrupted"
	default:
		text = explain(called(root, args), err)
	}
	fmt.Fprintf(errOut, "bdia: %s\n", text)
	if slices.Contains(args, "--json") && !errors.Is(err, errMismatch) && !errors.Is(err, errFiles) && !errors.Is(err, errDiffer) && !errors.Is(err, errProblem) { // the report says it
		printError(checked, text, code)
	}
	return code
}

// exitCode is the exit code of a command that ended with err.
func exitCode(err error) int {
	switch {
	case err == nil:
		return cli.ExitOK
	case errors.Is(err, cli.ErrStopped):
		return cli.ExitStopped
	case errors.Is(err, context.Canceled), errors.Is(err, cli.ErrUnsaved):
		return cli.ExitInterrupted
	case cli.IsUsage(err):
		return cli.ExitUsage
	}
	return cli.ExitFailure
}

// printError prints what went wrong as a line of JSON.
func printError(w io.Writer, text string, code int) {
	line, err := json.Marshal(map[string]any{"error": text, "exit": code})
	if err == nil {
		fmt.Fprintln(w, string(line))
	}
}

// called returns the command that args call, or nil.
func called(root *cobra.Command, args []string) *cobra.Command {
	args, err := fullArgs(args)
	if err != nil {
		return nil
	}
	c, _, err := root.Find(args)
	if err != nil {
		return nil
	}
	return c
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

Exit codes: 0 done; 1 failed; 2 called wrongly; 3 stopped by Ctrl-C or a signal
(SIGTERM, SIGHUP, SIGUSR1) and saved, so that the run can go on; 130 stopped with
nothing to save, or by a second Ctrl-C: what was written by then stays; 141 the
reader of the output has gone, as behind "| head".`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cli.Setup(root)
	root.AddCommand(newQuickstart(), newInspect(), newTrain(), newFinetune(), newEval(), newGenerate(), newChat(), newTranslate(), newClassify(),
		newCompare(), newDiff(), newVerify(), newPlan(), newBench(), newTokenizer(), newScore(), newExport())
	return root
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
