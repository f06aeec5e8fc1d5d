package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/hub"
)

// exportOptions say what is written where.
type exportOptions struct {
	from, format string
	lora         string // folder of adapters
	best, force  bool
	out          string // the name that the result gets
	path         string // what a format writes: a file or a folder that is not there yet, and becomes out
	dtype        string // of the weights: empty for the format's own choice
	noCache      bool   // of keys and values: onnx
	asJSON       bool
	engine       backend.Options

	report *exportReport // which a format completes with compare
}

// exportFormat writes a model in other software's terms.
type exportFormat struct {
	name, what string
	dtypes     []string // of --dtype
	// write makes o.path and completes o.report.
	write func(cmd *cobra.Command, from *source, o exportOptions) error
}

// exportFormats are those there are, in the order of the help text.
var exportFormats = []exportFormat{
	{"hf", "a folder for Hugging Face's transformers", []string{"f32", "f16", "bf16"}, exportHF},
	{"onnx", "a folder for onnxruntime and transformers.js; or a file, FILE.onnx", []string{"f32"}, exportONNX},
	{"gguf", "a file for llama.cpp, of language models", []string{"f32", "f16", "bf16", "q8_0"}, exportGGUF},
}

// formatNames lists the formats.
func formatNames() (names []string) {
	for _, f := range exportFormats {
		names = append(names, f.name)
	}
	return names
}

func newExport() *cobra.Command {
	var o exportOptions
	text := &strings.Builder{}
	for _, f := range exportFormats {
		fmt.Fprintf(text, "  %-5s %s; --dtype %s\n", f.name, f.what, strings.Join(f.dtypes, ", "))
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
		f.StringVar(&o.from, "from", "", "`folder` of the model, if it is not the argument")
		f.StringVar(&o.format, "format", "", "`format` to write: "+strings.Join(formatNames(), ", "))
		f.StringVar(&o.out, "out", "", "`path` of the file or folder to write")
		f.StringVar(&o.dtype, "dtype", "", "`type` of the weights; that of the model's file, unless the format has another")
		f.BoolVar(&o.best, "best", false, "export the best weights instead of the latest")
		f.BoolVar(&o.noCache, "no-cache", false, "onnx: a language model that takes whole texts, without keys and values of before")
		adapterFlag(f, &o.lora)
		f.BoolVar(&o.force, "force", false, "replace what is at --out")
		f.BoolVar(&o.asJSON, "json", false, "print JSON")
		engineFlags(f, &o.engine)
	})
	cli.Choices(c, map[string][]string{"format": formatNames()})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if o.from, err = folderOf(args, o.from); err != nil {
			return cli.Usage(err)
		}
		f, err := o.validate()
		if err != nil {
			return cli.Usage(err)
		}
		return runExport(cmd, f, o)
	}
	return c
}

// validate checks o and finds its format.
func (o exportOptions) validate() (format exportFormat, err error) {
	switch {
	case o.format == "":
		return format, fmt.Errorf("name the format with --format: %s", strings.Join(formatNames(), ", "))
	case o.out == "":
		return format, errors.New("say where to write with --out")
	case o.out == "-":
		return format, errors.New("--out -: an export is not written to standard output; name a file or folder, ./- for one of that name")
	}
	for _, f := range exportFormats {
		if f.name != o.format {
			continue
		}
		if o.noCache && f.name != "onnx" {
			return format, errors.New("--no-cache is for --format onnx")
		}
		if o.dtype == "" || slices.Contains(f.dtypes, o.dtype) {
			return f, checkEngine(o.engine)
		}
		return format, fmt.Errorf("--dtype %s; format %s has %s", o.dtype, f.name, strings.Join(f.dtypes, ", "))
	}
	return format, fmt.Errorf("--format %q is not known; there are %s", o.format, strings.Join(formatNames(), ", "))
}

// runExport writes what o asks for beside its place, and puts it there when it is
// complete.
func runExport(cmd *cobra.Command, format exportFormat, o exportOptions) error {
	from, err := openSource(cmd.Context(), o.from, hub.Options{Best: o.best, Adapter: o.lora, WithoutText: true}, o.engine)
	if err != nil {
		return err
	}
	defer from.Close()
	sources := []string{o.from, from.Weights, from.Adapter}
	if err := o.mayWrite(sources); err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(o.out))
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, ".bdia-export-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	o.path = filepath.Join(temporary, filepath.Base(filepath.Clean(o.out)))
	o.report = &exportReport{From: from.Dir, Format: format.name, Out: o.out, Grid: from.Grid.String(), Sample: from.sample.what}
	if err := errors.Join(format.write(cmd, from, o), cmd.Context().Err()); err != nil {
		return err
	}
	if o.report.Bytes, err = sizeOf(o.path); err == nil {
		err = o.place(temporary, sources)
	}
	if err != nil {
		return err
	}
	if o.asJSON {
		return cli.PrintJSON(cmd.OutOrStdout(), o.report)
	}
	o.report.print(cmd.OutOrStdout())
	return nil
}

// sizeOf adds up the files at path.
func sizeOf(path string) (bytes int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

// exportReport is what was written and how near it comes to the model.
type exportReport struct {
	From   string `json:"from"`
	Format string `json:"format"`
	Out    string `json:"out"`
	DType  string `json:"dtype"` // of the weights
	Bytes  int64  `json:"bytes"`
	Grid   string `json:"grid"` // of the model's states; none: they are floats
	Sample string `json:"sample"`
	Logits int    `json:"logits"` // that were compared

	// Largest differences of a logit between inference on the grid, inference in
	// float32 and what was written; and the largest of the logits.
	GridFloat  float64 `json:"max_grid_minus_float"`
	GridFile   float64 `json:"max_grid_minus_exported"`
	FloatFile  float64 `json:"max_float_minus_exported"`
	LargestAbs float64 `json:"max_abs_logit"`

	Notes []string `json:"notes,omitempty"` // on how the format holds the model
}

// compare completes r: exported gives the logits of from.sample as what was
// written has them, in the layout of net.logits. It may leave other weights in the
// model.
func (r *exportReport) compare(from *source, dtype string, exported func() ([]float32, error)) error {
	if err := from.load(); err != nil {
		return err
	}
	onGrid, err := from.net.logits(from.sample, from.Grid)
	if err != nil {
		return err
	}
	inFloat, err := from.net.logits(from.sample, bdia.NoGrid)
	if err != nil {
		return err
	}
	written, err := exported()
	if err != nil {
		return err
	}
	if len(written) != len(inFloat) {
		return fmt.Errorf("what was written gives %d logits, the model %d", len(written), len(inFloat))
	}
	r.DType, r.Logits = dtype, len(written)
	r.GridFloat, r.GridFile, r.FloatFile = furthest(onGrid, inFloat), furthest(onGrid, written), furthest(inFloat, written)
	r.LargestAbs = furthest(inFloat, make([]float32, len(inFloat)))
	for _, d := range []float64{r.GridFloat, r.GridFile, r.FloatFile} {
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return fmt.Errorf("logits of the sample are not finite: of weights out of range, or beyond the range of %s; try another --dtype", dtype)
		}
	}
	return nil
}

// furthest is the largest difference between elements of a and b, NaN where there
// is one.
func furthest(a, b []float32) (most float64) {
	for i := range a {
		if d := math.Abs(float64(a[i]) - float64(b[i])); d > most || math.IsNaN(d) {
			most = d
		}
		if math.IsNaN(most) {
			break
		}
	}
	return most
}

func (r *exportReport) print(w io.Writer) {
	fmt.Fprintf(w, "Wrote %s: format %s, weights of %s, %s.\n", r.Out, r.Format, r.DType, cli.Bytes(r.Bytes))
	fmt.Fprintf(w, "Largest difference of a logit, over %s (largest |logit| %.4g):\n", r.Sample, r.LargestAbs)
	if r.Grid != bdia.NoGrid.String() {
		grid := "grid of " + r.Grid + " bits"
		fmt.Fprintf(w, "  %-25s %.3g\n  %-25s %.3g\n", grid+" - float32", r.GridFloat, grid+" - exported", r.GridFile)
	}
	fmt.Fprintf(w, "  %-25s %.3g\n", "float32 - exported", r.FloatFile)
	for _, n := range r.Notes {
		fmt.Fprintln(w, "Note:", n)
	}
}
