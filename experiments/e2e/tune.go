package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/score"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// maxTokens is the most of a text; references have 73 words at most.
const maxTokens = 120

// atOnce is how many texts are looked for together.
const atOnce = 16

// result is what became of a run.
type result struct {
	Name     string          `json:"name"`
	Variant  string          `json:"variant"`
	Pairs    int             `json:"pairs"` // that were learned
	Seed     int             `json:"seed"`
	Steps    int             `json:"steps"`
	BestStep int             `json:"best_step"` // its weights wrote the texts
	ValLoss  float64         `json:"val_loss"`  // theirs, nats a token of the development set
	Peak     int64           `json:"planned_bytes"`
	Trained  float64         `json:"seconds"`
	Wrote    float64         `json:"seconds_writing"` // by this process
	Scores   score.E2EScores `json:"scores"`
}

// fineTune trains j, lets it write the texts and scores them.
func (o options) fineTune(ctx context.Context, j job) (result, error) {
	dir := filepath.Join(o.out, j.name)
	r, err := trained(ctx, dir, tune.New(j.cfg))
	if err != nil {
		return result{}, err
	}
	defer r.Close()
	planned, err := r.Plan()
	if err != nil {
		return result{}, err
	}
	res := result{Name: j.name, Variant: j.variant, Pairs: j.pairs, Seed: j.seed, Steps: r.State.Step, BestStep: r.State.BestStep,
		ValLoss: r.State.BestLoss, Peak: planned.Total, Trained: r.State.Elapsed}
	if j.pairs == 0 {
		res.Pairs = r.Task.(*tune.Task).Set(0).Len()
	}
	began := time.Now()
	texts := filepath.Join(dir, "texts.txt")
	if err := o.write(ctx, r, texts); err != nil {
		return res, err
	}
	res.Wrote = time.Since(began).Seconds()
	res.Scores, err = o.score(texts)
	return res, err
}

// write appends the texts that the run's best weights write to the file path, a
// line each, after those that are there.
func (o options) write(ctx context.Context, r *train.Run, path string) (err error) {
	task := r.Task.(*tune.Task)
	meanings, err := o.meanings()
	if err != nil {
		return err
	}
	done, err := countLines(path)
	if err != nil || done >= len(meanings) {
		return err
	}
	encoder, err := hub.NewPrompts(task.Source, string(task.Settings.Tune.Separator))
	if err != nil {
		return err
	}
	end, _ := tokenizer.EndOfText(task.Source)
	prompts := make([][]int32, len(meanings))
	longest := 0
	for i, mr := range meanings {
		if prompts[i], err = encoder.Encode([]byte(mr)); err != nil {
			return err
		}
		longest = max(longest, len(prompts[i]))
	}
	search := generate.SearchOptions{Beam: 10, LengthPenalty: 0.8, NBest: 1}
	folder, err := hub.Open(r.Dir, hub.Options{Best: true})
	if err != nil {
		return err
	}
	m, err := folder.GPT(r.Common().Engine, func(m *model.GPT) error {
		return generate.RehearseBeam(m, atOnce, longest, maxTokens, search, folder.Grid)
	})
	if err != nil {
		return err
	}
	defer m.Close()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for some := range slices.Chunk(prompts[done:], atOnce) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped while writing texts (%w); run again to go on", err)
		}
		all, err := generate.BeamEach(ctx, m.GPT, some, task.Target.VocabSize(), []int32{end}, maxTokens, search, folder.Grid)
		if err != nil {
			return err
		}
		for _, best := range all {
			text, err := task.Target.Decode(best[0].IDs)
			if err != nil {
				return err
			}
			// Half a character can end a text that was cut off.
			line := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "")), " ")
			if _, err := fmt.Fprintln(f, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// countLines returns how many whole lines a file has, 0 for no file. It cuts off the
// rest.
func countLines(path string) (int, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	whole := strings.LastIndexByte(string(text), '\n') + 1
	if whole < len(text) {
		err = os.Truncate(path, int64(whole))
	}
	return strings.Count(string(text[:whole]), "\n"), err
}

// score scores the texts in the file path.
func (o options) score(path string) (score.E2EScores, error) {
	name := filepath.Join(o.e2e, "testset_w_refs.csv")
	if o.mrs > 0 {
		return score.E2EScores{}, nil // the references are for all
	}
	texts, err := os.Open(path)
	if err != nil {
		return score.E2EScores{}, err
	}
	defer texts.Close()
	references, err := os.Open(name)
	if err != nil {
		return score.E2EScores{}, err
	}
	defer references.Close()
	e := score.NewE2E()
	err = score.Instances(score.Stream{Name: path, Text: bufio.NewReader(texts)}, score.Stream{Name: name, Text: references},
		func(hypothesis string, references []string) error {
			e.Add(hypothesis, references...)
			return nil
		})
	return e.Result(), err
}

// printTable prints what there is, few pairs first.
func printTable(w io.Writer, results map[string]result) {
	var list []result
	for _, r := range results {
		list = append(list, r)
	}
	order := func(name string) int {
		for i, v := range variants {
			if v.name == name {
				return i
			}
		}
		return len(variants)
	}
	slices.SortFunc(list, func(a, b result) int {
		return cmp.Or(a.Pairs-b.Pairs, order(a.Variant)-order(b.Variant), a.Seed-b.Seed)
	})
	fmt.Fprintln(w, "| pairs | way | seed | steps, best | loss, development | BLEU | NIST | METEOR (exact, stem) | ROUGE-L | CIDEr | peak memory |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range list {
		s := r.Scores
		fmt.Fprintf(w, "| %d | %s | %d | %d, %d | %.3f | %.4f | %.3f | %.4f | %.4f | %.3f | %.0f MiB |\n", r.Pairs, r.Variant, r.Seed, r.Steps, r.BestStep,
			r.ValLoss, s.BLEU, s.NIST, s.METEOR, s.ROUGEL, s.CIDEr, float64(r.Peak)/(1<<20))
	}
}
