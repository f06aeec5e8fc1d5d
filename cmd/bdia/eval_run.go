package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/train"
)

// dataOf says what a model that is no run can be measured on.
var dataOf = map[convert.Kind]string{
	convert.GPT: "give a text with --text", convert.Seq2Seq: "give sentences with --source and --references", convert.ViT: "measure the run that it comes from",
}

// evaluateRun measures the run in dir, which may be its best/ folder or an older checkpoint.
func evaluateRun(ctx context.Context, dir string, o evalOptions, p *cli.Progress) (printer, error) {
	dir, weights, err := o.folders(dir)
	if err != nil {
		return nil, err
	}
	if o.text != "" {
		return evaluateFile(ctx, weights, o, p)
	}
	if _, err := os.Stat(filepath.Join(dir, configName)); errors.Is(err, fs.ErrNotExist) {
		if kind, err := convert.KindOf(dir); err == nil {
			return nil, cli.Usage(fmt.Errorf("%s is a model without data; %s", dir, dataOf[kind]))
		}
	}
	r, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	e := viewOf(r.Task).(evaluated)
	if err := o.given.refuse(o.idleOf(e)); err != nil {
		return nil, err
	}
	return e.evaluate(ctx, r, o, p)
}

// evaluated is a task with runs that bdia eval measures.
type evaluated interface {
	// evaluates lists what an evaluation takes: test (the part), stride, adapter, data.
	evaluates() []string
	evaluate(ctx context.Context, r *train.Run, o evalOptions, p *cli.Progress) (printer, error)
}

// printer is a report for people, and as JSON for machines.
type printer interface {
	print(io.Writer)
	precision() *precisionReport
	loss() float64 // on the run's grid
}
