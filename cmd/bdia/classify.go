package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// classifyOptions say how images are classified.
type classifyOptions struct {
	top, batch int
	gamma      float64
	csv        string
	engine     backend.Options
}

func (o classifyOptions) validate() error {
	switch {
	case o.top < 1:
		return fmt.Errorf("--top %d; show at least one class", o.top)
	case o.batch < 1 || o.batch > 1<<12:
		return fmt.Errorf("--batch %d; give a number from 1 to %d", o.batch, 1<<12)
	case !(o.gamma > -1 && o.gamma < 1):
		return fmt.Errorf("--gamma %v; its magnitude must be below 1", o.gamma)
	}
	return checkEngine(o.engine)
}

func newClassify() *cobra.Command {
	var o classifyOptions
	c := &cobra.Command{
		Use:   "classify MODEL IMAGE...",
		Short: "Say what images show",
		Long: `Print the most likely classes of images (PNG, JPEG, WebP) with their
probabilities. MODEL is a run directory, its best/ folder, or any folder of a
vision transformer in timm's or Hugging Face's layout. An IMAGE may be a folder:
then all images below it are classified, and the result is CSV.

Images that cannot be read are named and left out; then the exit code is 1.`,
		Example: `  bdia classify runs/cifar10 cat.png dog.jpg
  bdia classify runs/cifar10/best photos/ --top 1 --csv photos.csv`,
		Args: cli.Arguments(2, 1<<20, "a model folder and images"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.IntVar(&o.top, "top", 5, "classes to show")
		f.StringVar(&o.csv, "csv", "", "write CSV to this `file`; - for standard output")
		f.Float64Var(&o.gamma, "gamma", 0, "inference `gamma` (see eval); 0 for the ordinary transformer")
		f.IntVar(&o.batch, "batch", 32, "images at a time")
		engineFlags(f, &o.engine)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.validate(); err != nil {
			return cli.Usage(err)
		}
		return classify(cmd, args[0], args[1:], o)
	}
	return c
}

// answer is what a model makes of one image: its likeliest classes first.
type answer struct {
	path    string
	classes []string
	shares  []float32
}

func classify(cmd *cobra.Command, dir string, args []string, o classifyOptions) (err error) {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	paths, folders, err := findImages(args)
	if err != nil {
		return err
	}
	c, err := loadClassifier(dir, min(o.batch, len(paths)), o.gamma, o.engine)
	if err != nil {
		return err
	}
	defer c.be.Close()
	o.top = min(o.top, c.Config.Classes)

	show, finish, err := answers(cmd.OutOrStdout(), o, folders)
	if err != nil {
		return err
	}
	unreadable, err := c.classify(cmd.Context(), paths, o, show, func(err error) { fmt.Fprintf(cmd.ErrOrStderr(), "left out: %v\n", err) })
	if closing := finish(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if unreadable > 0 {
		return fmt.Errorf("%d of %d images cannot be read", unreadable, len(paths))
	}
	return nil
}

// findImages lists the images that args name. folders reports whether one of
// them is a folder.
func findImages(args []string) (paths []string, folders bool, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, false, err
		}
		found, err := images.Find(arg)
		if err != nil {
			return nil, false, err
		}
		folders = folders || info.IsDir()
		paths = append(paths, found...)
	}
	return paths, folders, nil
}

// classify shows the answers for the images at paths, in order, and complains of
// those that cannot be read.
func (c *classifier) classify(ctx context.Context, paths []string, o classifyOptions, show func(answer) error, complain func(error)) (unreadable int, err error) {
	norm := images.Norm{Mean: c.Mean, Std: c.Std}
	pixels, classes := c.Config.Pixels(), c.Config.Classes
	var names []string // of the images in the batch
	flush := func() error {
		if len(names) == 0 {
			return nil
		}
		logits, err := c.logits(model.ImageBatch{Size: len(names), Pixels: c.room.Pixels[:len(names)*pixels]}, c.grid, o.gamma)
		if err != nil {
			return err
		}
		for i, name := range names {
			if err := show(c.answer(name, logits[i*classes:][:classes], o.top)); err != nil {
				return err
			}
		}
		names = names[:0]
		return nil
	}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return unreadable, err
		}
		planes, err := images.ReadFile(path, c.Config.Image, c.Crop)
		if err != nil {
			unreadable++
			complain(err)
			continue
		}
		norm.Apply(planes, c.room.Pixels[len(names)*pixels:][:pixels])
		if names = append(names, path); len(names) == c.room.Size {
			if err := flush(); err != nil {
				return unreadable, err
			}
		}
	}
	return unreadable, flush()
}

// answer names the likeliest classes. It spoils logits.
func (c *classifier) answer(path string, logits []float32, top int) answer {
	metric.Softmax(logits, logits)
	order := make([]int, len(logits))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	a := answer{path: path}
	for _, k := range order[:top] {
		a.classes, a.shares = append(a.classes, c.name(k)), append(a.shares, logits[k])
	}
	return a
}

// answers returns what shows answers on w, for people, or as CSV where a file
// or a folder of images was given; finish completes it.
func answers(w io.Writer, o classifyOptions, folders bool) (show func(answer) error, finish func() error, err error) {
	if o.csv == "" && !folders {
		return func(a answer) error { return printAnswer(w, a) }, func() error { return nil }, nil
	}
	closeFile := func() error { return nil }
	if o.csv != "" && o.csv != "-" {
		f, err := os.Create(o.csv)
		if err != nil {
			return nil, nil, err
		}
		w, closeFile = f, f.Close
	}
	table := csv.NewWriter(w)
	header := []string{"image"}
	for i := range o.top {
		n := strconv.Itoa(i + 1)
		header = append(header, "class_"+n, "probability_"+n)
	}
	show = func(a answer) error {
		row := []string{a.path}
		for i, name := range a.classes {
			row = append(row, name, strconv.FormatFloat(float64(a.shares[i]), 'f', 6, 32))
		}
		return table.Write(row)
	}
	finish = func() error {
		table.Flush()
		return cmp.Or(table.Error(), closeFile())
	}
	return show, finish, table.Write(header)
}

func printAnswer(w io.Writer, a answer) error {
	if _, err := fmt.Fprintln(w, a.path); err != nil {
		return err
	}
	for i, name := range a.classes {
		if _, err := fmt.Fprintf(w, "  %6.2f%%  %s\n", 100*a.shares[i], name); err != nil {
			return err
		}
	}
	return nil
}
