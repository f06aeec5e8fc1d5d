package text

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// texts are the texts of a new run and what is known of them, for its picture.
type texts struct {
	src, val  *data.Source // val: of its own, or nil
	documents documents    // of src
	held      data.Held
	once      int // characters that are there once
	unknown   []data.Character
	lost      int64 // bytes for which the tokenizer has no token
	joined    int64 // tokens that a BPE would have made of src, which repeats itself; 0: it does not
}

// documents are the places of documents in a stream of tokens.
type documents struct {
	starts []int64  // first tokens; of very many documents, of every stride-th
	stride int      // documents between two starts
	names  []string // of the first documents
	seen   int      // documents
	total  int64    // tokens
}

// Bounds of documents.
const (
	maxStarts = 1 << 22
	maxNames  = 1000
)

// add adds a document that begins at a token.
func (d *documents) add(start int64, name string) {
	if d.stride == 0 {
		d.stride = 1
	}
	if len(d.starts) == maxStarts {
		for i := range maxStarts / 2 {
			d.starts[i] = d.starts[2*i]
		}
		d.starts, d.stride = d.starts[:maxStarts/2], 2*d.stride
	}
	if d.seen%d.stride == 0 {
		d.starts = append(d.starts, start)
	}
	if len(d.names) < maxNames {
		d.names = append(d.names, name)
	}
	d.seen++
}

// encoder writes texts as tokens.
type encoder struct {
	ctx      context.Context
	dir      string
	tok      tokenizer.Tokenizer // as it reads the text
	lost     atomic.Int64        // bytes for which it has no token
	progress train.Progress
}

// create starts a set of tokens.
func (e *encoder) create(name string) (*data.ShardWriter, error) {
	return data.CreateShards(e.dir, name, data.ShardOptions{VocabSize: e.tok.VocabSize(), Fingerprint: tokenizer.Fingerprint(e.tok)})
}

// write writes the tokens of src as the set name, documents separated by the end-of-text token if the tokenizer has
// one.
func (e *encoder) write(name string, src *data.Source) (d documents, counts []int64, err error) {
	w, err := e.create(name)
	if err != nil {
		return d, nil, err
	}
	defer w.Abort()
	before, _ := tokenizer.Around(e.tok)
	o := data.EncodeOptions{Before: before, Progress: func(n int64) { e.progress("encoding", n, src.Bytes()) },
		Document: func(place string) error { d.add(w.Len(), place); return nil }}
	if id, ok := tokenizer.EndOfText(e.tok); ok {
		o.Separator = []int32{id}
	}
	if e.tok.Kind() == tokenizer.KindChar {
		counts = make([]int64, e.tok.VocabSize())
	}
	err = src.Encode(tokenizer.CountLost(e.tok, &e.lost), o, func(ids []int32) error {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		for _, id := range ids {
			if counts == nil {
				break
			}
			counts[id]++
		}
		return w.Write(ids)
	})
	d.total = w.Len()
	if err == nil {
		err = w.Close()
	}
	return d, counts, err
}

// window returns the tokens that one sample of a text of so many tokens takes, the last target included.
func (c Config) window(tokens int64) int64 {
	if c.Tune.From == "" {
		fillSizes(&c.Model, sizeFor(tokens))
	}
	return int64(c.SampleLength()) + 1
}

// encode writes the tokens of t, and divides them into those that are trained on and those held out. At least a window
// of a text of so many tokens is held out, if there are enough.
func (t *texts) encode(e *encoder, c DataConfig, window func(tokens int64) int64) error {
	divide := t.val == nil && c.Split != SplitEnd && c.ValFraction > 0
	name := shardName
	if divide {
		name = wholeName
	}
	if err := data.RemoveShards(e.dir, valName); err != nil { // of an attempt before
		return err
	}
	var counts []int64
	var err error
	if t.documents, counts, err = e.write(name, t.src); err != nil {
		return err
	}
	for _, n := range counts {
		if n == 1 {
			t.once++
		}
	}
	switch {
	case t.val != nil:
		_, _, err = e.write(valName, t.val)
	case divide:
		err = t.divide(e, c.ValFraction, window)
	}
	t.lost = e.lost.Load()
	return err
}

// divide cuts what is held out from all tokens.
func (t *texts) divide(e *encoder, share float64, window func(tokens int64) int64) (err error) {
	all, err := data.OpenShards(e.dir, wholeName, data.OpenOptions{})
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, all.Close(), data.RemoveShards(e.dir, wholeName)) }()
	if t.held, err = data.HoldOut(t.documents.starts, all.Len(), share, window(all.Len())); err != nil {
		return err
	}
	rest, err := e.create(shardName)
	if err != nil {
		return err
	}
	defer rest.Abort()
	held, err := e.create(valName)
	if err != nil {
		return err
	}
	defer held.Abort()
	if err := data.Cut(all, t.held.Ranges, rest, held); err != nil {
		return err
	}
	if len(t.held.Ranges) > 0 { // the text has more than a few tokens
		if err := held.Close(); err != nil {
			return err
		}
	}
	return rest.Close()
}

// prepare opens the texts that the settings name, and makes their tokenizer.
func (c *Config) prepare(ctx context.Context, progress train.Progress) (t texts, tok tokenizer.Tokenizer, err error) {
	if t.src, err = c.Data.Open(ctx); err != nil {
		return t, nil, err
	}
	c.chooseTokenizer(t.src.Bytes())
	all := t.src
	if c.Data.Val != "" {
		d := c.Data
		d.Path, d.More, d.MaxBytes = c.Data.Val, nil, 0
		if t.val, err = d.Open(ctx); err != nil {
			return t, nil, err
		}
		all = &data.Source{}
		all.Add(t.src)
		all.Add(t.val)
	}
	learned := t.src
	if c.Data.Tokenizer == tokenizer.KindChar { // it has the characters of both
		learned = all
	}
	if tok, err = makeTokenizer(ctx, c.Data, c.Engine, learned, progress); err == nil {
		tok, err = t.meet(ctx, c, all, tok, progress)
	}
	return t, tok, err
}
