package tune

import (
	"fmt"

	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// completionTokenizer loads the tokenizer of the model that is fine-tuned, which
// has to have a token for the end of a text.
func completionTokenizer(dir string, m model.GPTConfig) (tok tokenizer.Tokenizer, end int32, err error) {
	if tok, err = tokenizer.Load(dir); err != nil {
		return nil, 0, err
	}
	if reached, err := tokenizer.Limit(tok, m.Vocab); err == nil { // else Belongs says it
		tok = reached
	}
	end, ok := tokenizer.EndOfText(tok)
	if !ok {
		return nil, 0, fmt.Errorf("train: %s: %w: its tokenizer has no token for the end of a text, with which a completion ends; start from a model with a byte-level BPE", dir, train.ErrCombination)
	}
	return tok, end, nil
}
