package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/tally"
	"github.com/bdia-go/bdia/hub"
)

// classifyOptions say how images are classified.
type classifyOptions struct {
	top, batch int
	gamma      float64
	csv        string
	asJSON     bool
	engine     device
}

func (o classifyOptions) validate() error {
	switch {
	case o.top < 1:
		return fmt.Errorf("--top %d; show at least one class", o.top)
	case o.asJSON && o.csv != "":
		return errors.New("--json and --csv; give one of them")
	case o.batch < 1 || o.batch > 1<<12:
		return fmt.Errorf("--batch %d; give a number from 1 to %d", o.batch, 1<<12)
	case !(o.gamma > -1 && o.gamma < 1):
		return fmt.Errorf("--gamma %v; its magnitude must be below 1", o.gamma)
	}
	return checkEngine(o.engine.Options)
}

func newClassify() *cobra.Command {
	var o classifyOptions
	c := &cobra.Command{
		Use:   "classify MODEL IMAGE...",
		Short: "Classify images with a trained model",
		Long: `Print the most likely classes of images (PNG, JPEG, WebP, BMP, GIF, TIFF) with
their probabilities. MODEL is a run directory, its best/ folder, or any folder of
a vision transformer in timm's or Hugging Face's layout. An IMAGE may be a
folder: then all images below it are classified, and the result is CSV.
Photographs are turned upright by their EXIF orientation.

Images that cannot be read are named and left out; then the exit code is 1.`,
		Example: `  bdia classify runs/cifar10 cat.png dog.jpg
  bdia classify runs/cifar10/best photos/ --top 1 --csv photos.csv`,
		Args: cli.Arguments(2, 1<<20, "a model folder and images"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.IntVar(&o.top, "top", 5, "classes to show")
		f.StringVar(&o.csv, "csv", "", "write CSV to this `file`; - for standard output")
		f.BoolVar(&o.asJSON, "json", false, "print a JSON object for each image")
		f.Float64Var(&o.gamma, "gamma", 0, "inference `gamma` (see eval); 0 for the ordinary transformer")
		f.IntVar(&o.batch, "batch", 32, "images at a time")
		o.engine.flags(f)
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

func classify(cmd *cobra.Command, dir string, args []string, o classifyOptions) (err error) {
	if _, err := hub.Find(dir); err != nil {
		return err
	}
	paths, folders, err := findImages(args, func(o tally.LeftOut) {
		fmt.Fprintf(cmd.ErrOrStderr(), "left out: %d %s %s; the first is %s\n", o.Count, o.What, o.Reason, o.First)
	})
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
	if err := finish(err); err != nil {
		return err
	}
	if unreadable > 0 {
		return fmt.Errorf("%d of %d images cannot be read", unreadable, len(paths))
	}
	return nil
}
