package eval

import (
	"cmp"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
)

// WindowOptions are the options of NewWindows.
type WindowOptions struct {
	Context int  // largest number of tokens that the model sees
	Stride  int  // tokens from one window to the next, at most Context; 0: windows do not overlap
	Most    int  // largest number of windows; 0: all
	Spread  bool // with Most and no Stride: spread the windows over the text instead of taking its beginning
	AtOnce  int  // windows in a batch; 0: one
}

// Windows cut a text into batches. Each token but the first of the text is a target once:
// with a stride below the context, windows overlap and a window counts only the tokens
// after the ones before it. For example, context 4 and stride 2 of a b c d e f: the
// first window predicts b c d, the second sees c d e f and counts e f.
type Windows struct {
	Len    int // number of windows
	Stride int // tokens from one window to the next; 0: spread over the text
	atOnce int
	length int // largest number of targets in a window
	fill   func(first, most int) (model.Batch, error)
}

// NewWindows cuts text. It fails with data.ErrTooShort for a text of fewer than two tokens.
func NewWindows(text data.Tokens, o WindowOptions) (*Windows, error) {
	whole := o.Most == 0 || text.Len() <= int64(o.Most)*int64(o.Context)+1
	if o.Stride == 0 && o.Spread && !whole {
		return spread(text, o)
	}
	return sliding(text, o)
}

// spread takes o.Most windows at even distances.
func spread(text data.Tokens, o WindowOptions) (*Windows, error) {
	set, err := data.NewSequential(text, o.Context, o.Most)
	if err != nil {
		return nil, err
	}
	return &Windows{Len: set.Len(), atOnce: max(o.AtOnce, 1), length: o.Context, fill: func(first, most int) (model.Batch, error) {
		b := model.NewBatch(min(most, set.Len()-first), o.Context)
		return b, set.Batch(first, b.Size, b.Inputs, b.Targets)
	}}, nil
}

// sliding takes all windows, or the first o.Most.
func sliding(text data.Tokens, o WindowOptions) (*Windows, error) {
	stride := cmp.Or(o.Stride, o.Context)
	set, err := data.NewSliding(text, o.Context, stride, o.Most)
	if err != nil {
		return nil, err
	}
	longest, _ := set.Size(0)
	return &Windows{Len: set.Len(), Stride: stride, atOnce: max(o.AtOnce, 1), length: longest, fill: func(first, most int) (model.Batch, error) {
		T, _ := set.Size(first)
		n := 1 // windows of one length: the last of a text may be shorter
		for n < min(most, set.Len()-first) {
			if next, _ := set.Size(first + n); next != T {
				break
			}
			n++
		}
		b := model.NewBatch(n, T)
		for i := range n {
			inputs, targets := b.Inputs[i*T:(i+1)*T], b.Targets[i*T:(i+1)*T]
			if err := set.Window(first+i, inputs, targets); err != nil {
				return b, err
			}
			_, counted := set.Size(first + i)
			for j := range T - counted {
				targets[j] = backend.Ignore
			}
		}
		return b, nil
	}}, nil
}

// Batch returns up to AtOnce windows of one length, from number first on. Tokens that do
// not count have the target backend.Ignore.
func (w *Windows) Batch(first int) (model.Batch, error) { return w.fill(first, w.atOnce) }

// Largest returns a batch of the largest size, for planning memory.
func (w *Windows) Largest() model.Batch { return model.NewBatch(min(w.atOnce, w.Len), w.length) }
