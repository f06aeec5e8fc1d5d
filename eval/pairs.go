package eval

import (
	"context"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/model"
)

// Translations returns the mean loss per target token of m, in nats, and the number of
// targets, over about most pairs of set (0: all; see EachPairBatch). The batches
// overwrite buf.
func Translations(ctx context.Context, m *model.Seq2Seq, set *pairs.Sequential, most int, buf *pairs.Batch, grid bdia.Grid) (loss float64, targets int, err error) {
	var sum float64
	err = EachPairBatch(ctx, set, most, buf, func(b *pairs.Batch) error {
		targets += b.Targets
		losses, err := m.Loss(PairBatch(b), grid)
		sum = model.AddLosses(sum, losses)
		return err
	})
	return sum / float64(targets), targets, err
}

// PairBatch returns b in the form that models take. Both share memory.
func PairBatch(b *pairs.Batch) model.PairBatch {
	return model.PairBatch{B: b.B, S: b.S, T: b.T, Source: b.Source, Input: b.Input, Target: b.Target, SourceLengths: b.SourceLengths}
}

// EachPairBatch calls do with about most pairs of set (0: all), in evenly spaced
// batches, so that short and long sentences take part. The batches overwrite buf. It
// stops with the first error of do or of ctx.
func EachPairBatch(ctx context.Context, set *pairs.Sequential, most int, buf *pairs.Batch, do func(*pairs.Batch) error) error {
	n := PairBatches(set, most)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := i * set.Len() / n
		if err := set.Fill(k, 0, set.Shape(k).B, buf); err != nil {
			return err
		}
		if err := do(buf); err != nil {
			return err
		}
	}
	return nil
}

// PairBatches is how many batches EachPairBatch takes for about most pairs of set (0: all).
func PairBatches(set *pairs.Sequential, most int) int {
	total, n := 0, set.Len()
	for k := range set.Len() {
		total += set.Shape(k).B
	}
	if most > 0 && most < total {
		n = max(1, (n*most+total-1)/total)
	}
	return n
}
