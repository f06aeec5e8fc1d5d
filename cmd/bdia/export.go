package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/hub"
)

func newExport() *cobra.Command {
	var o export.Options
	var from string
	var engine device
	var folder hub.Options
	var asJSON bool
	text := &strings.Builder{}
	for _, f := range export.Formats() {
		fmt.Fprintf(text, "  %-5s %s; --dtype %s\n", f.Name, f.What, strings.Join(f.DTypes, ", "))
	}
	c := &cobra.Command{
		Use:   "export RUN --format FORMAT --out PATH",
		Short: "Write a trained model in another program's format",
		Long: `Write the model in a run directory, in its best/ folder or in another model folder
for other programs. The formats:

` + text.String() + `
What is written computes in floating point, without the grid on which the model
was trained. So the largest difference between the logits of inference on the
grid, of inference in float32 and of what was written is printed, on a sample: of
the run's held-out data, else of random tokens or pixels.`,
		Example: `  bdia export runs/shakespeare --best --format hf --out shakespeare-hf
  bdia export gpt2-finetuned --format hf --dtype bf16 --out gpt2-bf16
  bdia export runs/cifar --format onnx --out cifar.onnx`,
		Args: cli.Arguments(0, 1, "one run or model folder"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&from, "from", "", "`folder` of the model, if it is not the argument")
		f.StringVar(&o.Format, "format", "", "`format` to write: "+strings.Join(export.FormatNames(), ", "))
		f.StringVar(&o.Out, "out", "", "`path` of the file or folder to write")
		f.StringVar(&o.DType, "dtype", "", "`type` of the weights; the type in the model's file, unless the format has another")
		f.BoolVar(&folder.Best, "best", false, "export the best weights instead of the latest")
		f.BoolVar(&o.NoCache, "no-cache", false, "onnx: a language model that takes whole texts, without keys and values of before")
		adapterFlag(f, &folder.Adapter)
		f.BoolVar(&o.Force, "force", false, "replace what is at --out")
		f.BoolVar(&asJSON, "json", false, "print JSON")
		engine.flags(f)
	})
	cli.Choices(c, map[string][]string{"format": export.FormatNames()})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		o.Device = engine.Options
		if from, err = folderOf(args, from); err == nil {
			err = checkExport(o)
		}
		if err != nil {
			return cli.Usage(err)
		}
		if err := given(cmd.Flags()).refuse(idleOfExport(o)); err != nil {
			return err
		}
		r, err := runExport(cmd, from, folder, engine, o)
		if err != nil {
			return err
		}
		if asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), r)
		}
		printExport(cmd.OutOrStdout(), r)
		return nil
	}
	return c
}

// checkExport is o.Validate in the words of the flags.
func checkExport(o export.Options) error {
	formats := export.Formats()
	at := slices.IndexFunc(formats, func(f export.Format) bool { return f.Name == o.Format })
	switch {
	case o.Format == "":
		return fmt.Errorf("name the format with --format: %s", strings.Join(export.FormatNames(), ", "))
	case o.Out == "":
		return errors.New("say where to write with --out")
	case o.Out == "-":
		return errors.New("--out -: an export is not written to standard output; name a file or folder, ./- for one of that name")
	case at < 0:
		return fmt.Errorf("--format %q is not known; there are %s", o.Format, strings.Join(export.FormatNames(), ", "))
	case o.DType != "" && !slices.Contains(formats[at].DTypes, o.DType):
		return fmt.Errorf("--dtype %s; format %s has %s", o.DType, o.Format, strings.Join(formats[at].DTypes, ", "))
	}
	return checkEngine(o.Device)
}

// runExport writes the model in the folder from. Options that do not go with it, or with
// what is at --out, are mistakes of the caller.
func runExport(cmd *cobra.Command, from string, folder hub.Options, engine device, o export.Options) (*export.Report, error) {
	folder.WithoutText = true
	f, err := openFolder(from, folder)
	if err != nil {
		return nil, err
	}
	if err := given(cmd.Flags()).refuse([]idle{{f.Kind != convert.GPT, "is for language models, and " + from + " is another model", []string{"no-cache"}}}); err != nil {
		return nil, err
	}
	o.Device = engine.of(f)
	describeRun(cmd.Context(), f, &o)
	o.Commands = ownCommands(f, o)
	r, err := export.Write(cmd.Context(), f, sampleFor(cmd.Context(), f), o)
	if errors.Is(err, export.ErrOptions) || errors.As(err, new(*export.PlaceError)) {
		return nil, cli.Usage(err)
	}
	return r, err
}

func printExport(w io.Writer, r *export.Report) {
	fmt.Fprintf(w, "Wrote %s: format %s, weights of %s, %s.\n", r.Out, r.Format, r.DType, cli.Bytes(r.Bytes))
	fmt.Fprintf(w, "Largest difference of a logit, over %s (largest |logit| %.4g):\n", r.Sample, r.LargestAbs)
	trained := ""
	if r.Grid != bdia.NoGrid.String() {
		trained = "grid of " + r.Grid + " bits"
	}
	if r.Precision != backend.Float32.String() {
		trained = strings.TrimPrefix(trained+", "+r.Precision, ", ")
	}
	width := max(25, len(trained+" - exported"))
	if trained != "" {
		fmt.Fprintf(w, "  %-*s %.3g\n  %-*s %.3g\n", width, trained+" - float32", r.GridFloat, width, trained+" - exported", r.GridFile)
	}
	fmt.Fprintf(w, "  %-*s %.3g\n", width, "float32 - exported", r.FloatFile)
	for _, path := range r.Beside {
		fmt.Fprintln(w, "Beside it is", path)
	}
	if len(r.Carried) > 0 {
		fmt.Fprintf(w, "Copied from the folder of the model that it was made from: %s.\n", someNames(r.Carried))
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "Note:", n)
	}
}

// someNames names the first of some files, and counts the rest.
func someNames(names []string) string {
	const most = 10
	list := make([]string, min(len(names), most))
	for i := range list {
		list[i] = strings.Trim(strconv.Quote(names[i]), `"`)
	}
	if more := len(names) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}
