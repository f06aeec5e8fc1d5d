// Package export writes trained models for other programs: Hugging Face folders, ONNX and
// GGUF. Other programs compute in floating point, without the grid of training. So each
// export is read back and compared with the model on a sample.
package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
)

// Format is an output format.
type Format struct {
	Name   string
	What   string   // for people
	DTypes []string // types of weights that it supports, as in Options.DType
	write  func(*job) error
}

var formats = []Format{
	{"hf", "a folder for Hugging Face's transformers", []string{"f32", "f16", "bf16"}, writeHF},
	{"onnx", "a folder for onnxruntime and transformers.js, or FILE.onnx", []string{"f32"}, writeONNX},
	{"gguf", "a file for llama.cpp, of language models", []string{"f32", "f16", "bf16", "q8_0"}, writeGGUF},
}

// Formats lists the formats.
func Formats() []Format { return slices.Clone(formats) }

// FormatNames lists the names of the formats.
func FormatNames() (names []string) {
	for _, f := range formats {
		names = append(names, f.Name)
	}
	return names
}

// Options are the options of Write.
type Options struct {
	Format  string // of FormatNames
	Out     string // file or folder to write; an ONNX graph alone has a name that ends in .onnx
	DType   string // of the weights; empty: the type in the model's file, or the format's own
	NoCache bool   // onnx: a language model that takes whole texts, without earlier keys and values
	Force   bool   // replace an earlier export at Out
	Name    string // of the model, in formats that have one; empty: the folder's, or its run's
	Card    *Card  // what the model card says of the run; nil: nothing
	// Commands are lines for the model card that use what is written with the program that exports. {} in them is its
	// name.
	Commands []string
	// Origin is the folder of the model that the run started from, from which a folder gets licences and the like; empty:
	// the model's own.
	Origin string
	// Talk says that the run learned conversations: prompts of lines "role: content" (see ChatTemplate).
	Talk bool
	// Device is where the model computes. Its precision is the run's (hub.Folder.Precision), for the logits on the grid;
	// others are of float32, as other programs compute.
	Device backend.Options
}

var (
	// ErrOptions is wrapped by errors about options that exclude each other.
	ErrOptions = errors.New("impossible export")
	// ErrNumbers is wrapped by the error for a written model with logits that are NaN or
	// infinite.
	ErrNumbers = errors.New("logits of the sample are not finite")
)

// Validate returns an error for the first invalid option.
func (o Options) Validate() error {
	f, err := o.format()
	switch {
	case err != nil:
		return err
	case o.Out == "":
		return fmt.Errorf("export: %w: there is no path to write to", ErrOptions)
	case o.NoCache && f.Name != "onnx":
		return fmt.Errorf("export: %w: format %s has no cache to leave out", ErrOptions, f.Name)
	case o.DType != "" && !slices.Contains(f.DTypes, o.DType):
		return fmt.Errorf("export: %w: weights of type %q; format %s has %s", ErrOptions, o.DType, f.Name, strings.Join(f.DTypes, ", "))
	}
	return nil
}

func (o Options) format() (Format, error) {
	for _, f := range formats {
		if f.Name == o.Format {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("export: %w: format %q is not known; there are %s", ErrOptions, o.Format, strings.Join(FormatNames(), ", "))
}

// oneFile reports whether the export is one file, not a folder.
func (o Options) oneFile() bool {
	return o.Format == "gguf" || o.Format == "onnx" && strings.HasSuffix(o.Out, ".onnx")
}

// Report describes the written model and its differences from the original.
type Report struct {
	From   string   `json:"from"`
	Format string   `json:"format"`
	Out    string   `json:"out"`
	DType  string   `json:"dtype"` // of the weights
	Bytes  int64    `json:"bytes"`
	Beside []string `json:"beside,omitempty"` // files beside Out: model card, Modelfile
	// Carried are the names of files in Out that are copies from the folder of the model that it was made from.
	Carried []string `json:"carried,omitempty"`
	Grid    string   `json:"grid"` // of the model's states; "none": no rounding
	// Precision is the precision of the products in inference on the grid.
	Precision string `json:"precision"`
	Sample    string `json:"sample"`
	Logits    int    `json:"logits"` // number of logits compared

	// Largest differences of a logit between inference on the grid, inference in float32 and
	// the written model; and the largest magnitude of a logit.
	GridFloat  float64 `json:"max_grid_minus_float"`
	GridFile   float64 `json:"max_grid_minus_exported"`
	FloatFile  float64 `json:"max_float_minus_exported"`
	LargestAbs float64 `json:"max_abs_logit"`

	Notes []string `json:"notes,omitempty"` // limits of the format for this model
}

// job is one export: its model is loaded once, when a format asks for it.
type job struct {
	Options
	ctx    context.Context
	folder *hub.Folder
	sample Sample
	path   string // temporary path, renamed to Out at the end
	report *Report
	onGrid []float32 // logits of the sample in another precision than float32; nil: not computed
	net
}

// Write writes the model of a folder and compares the result with it on a sample. It writes
// to a temporary path next to o.Out and renames it when complete: until then, and if Write
// fails, o.Out does not change. Errors: ErrOptions, PlaceError, ErrNumbers.
func Write(ctx context.Context, f *hub.Folder, sample Sample, o Options) (*Report, error) {
	format, err := o.format()
	if err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	sources := []string{f.Dir, f.Weights, f.Adapter}
	if err := cmp.Or(o.mayWrite(sources), o.mayWriteBeside()); err != nil {
		return nil, err
	}
	parent := filepath.Dir(filepath.Clean(o.Out))
	if err := atomicfile.MkdirAll(parent); err != nil {
		return nil, fmt.Errorf("export: make folder %s: %w", parent, err)
	}
	h, err := hide(o.Out)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if err := disk.MkdirAll(filepath.Dir(h.path()), 0o777); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	j := &job{Options: o, ctx: ctx, folder: f, sample: sample, path: h.path(),
		report: &Report{From: f.Dir, Format: format.Name, Out: o.Out, Grid: f.Grid.String(), Precision: o.Device.Precision.String(), Sample: sample.What}}
	j.Name = cmp.Or(o.Name, nameOf(f.Dir))
	defer j.close()
	if err := errors.Join(format.write(j), ctx.Err()); err != nil {
		return nil, err
	}
	j.notePrompt()
	if !j.oneFile() {
		if err := createFile(j.path, cardFile, func(w io.Writer) error { _, err := io.WriteString(w, j.card()); return err }); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		if err := checkpoint.WriteManifest(j.path); err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
	}
	if j.report.Bytes, err = sizeOf(j.path); err == nil {
		if err = o.place(h, sources); err == nil {
			err = j.writeBeside()
		}
	}
	return j.report, err
}

// nameOf returns the last part of the path of a folder, also of "." and "..". A run's best/ has the run's name.
func nameOf(dir string) string {
	dir = cmp.Or(hub.RunOf(dir), dir)
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	return filepath.Base(dir)
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
