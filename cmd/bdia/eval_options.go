package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
)

// evalOptions say what is evaluated.
type evalOptions struct {
	onCorrupt images.OnCorrupt // images of data; empty: as in the run

	split   string
	best    bool
	weights string // the folder that has them; set by folders
	samples int
	text    string // of one's own
	special bool   // its spelling of a special token stands for it
	stride  int    // of windows of text; 0: they do not overlap
	data    string // other images
	gammas  string
	figure  string
	lora    string // folder of adapters
	engine  device

	source     string // to be translated
	references []string
	search     generate.TranslateOptions

	given overrides // the flags
}

func (o evalOptions) validate() error {
	if o.split != "val" && o.split != "train" && o.split != "test" {
		return fmt.Errorf("--split %q: use val, train or test", o.split)
	}
	if o.samples < 0 {
		return fmt.Errorf("--samples %d: give a positive number, or 0 for all", o.samples)
	}
	if o.stride < 0 {
		return fmt.Errorf("--stride %d: give a positive number, or 0 for windows that do not overlap", o.stride)
	}
	if (o.text != "" || o.stride > 0) && (o.gammas != "" || o.data != "" || o.source != "") {
		return errors.New("--text and --stride are for language models; leave out --gamma, --data and --source")
	}
	if o.lora != "" && (o.gammas != "" || o.data != "" || o.source != "") {
		return errors.New("--adapter is for language models; leave out --gamma, --data and --source")
	}
	if err := (images.Options{OnCorrupt: o.onCorrupt}).Validate(); err != nil {
		return err
	}
	if (o.source == "") != (len(o.references) == 0) {
		return errors.New("translations are scored with both --source and --references")
	}
	if o.source != "" && (o.gammas != "" || o.data != "" || o.samples > 0) {
		return errors.New("--source translates a whole file; leave out --gamma, --data and --samples")
	}
	if err := o.search.Validate(); err != nil {
		return err
	}
	return checkEngine(o.engine.Options)
}

// folders returns the run directory of dir, which may be its best/ folder or an older checkpoint of it, and the folder
// of the weights to measure: dir, or with --best the best ones.
func (o *evalOptions) folders(dir string) (run, weights string, err error) {
	run, o.weights = cmp.Or(hub.RunOf(dir), dir), dir
	if _, missing := os.Stat(dir); o.best || run != dir && missing != nil {
		o.weights, err = hub.BestOf(run)
	}
	return run, o.weights, err
}
