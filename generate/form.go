package generate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/hub"
)

// DefaultChatPositions is the number of tokens of a conversation for models with longer contexts.
const DefaultChatPositions = 4096

// FolderChat returns a conversation with the language model in a folder, which has a tokenizer. Its form is the model's
// chat template. A run that learned prompts and completions without one takes each message as a prompt, by itself; see
// Lines for one that learned conversations. A model with neither is chat.ErrNone. A token that ends a text or an answer
// ends these, and states are rounded to the folder's grid.
func FolderChat(f *hub.Folder, o Options) (*Chat, error) {
	c := &Chat{Vocabulary: f.Tokenizer, Options: o, Positions: min(f.GPTInfo.Config.CacheContext(), DefaultChatPositions)}
	ends := f.GPTInfo.StopIDs()
	switch {
	case f.Separator != nil:
		prompts, err := hub.NewPrompts(f.Tokenizer, *f.Separator)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Dir, err)
		}
		c.Form = single{prompts}
	default:
		template, err := f.Chat, error(nil)
		if template == nil {
			template, err = chat.New(f.Tokenizer)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Dir, err)
		}
		c.Form = template
		if end := template.End(); !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	c.Options.Grid, c.Options.StopIDs = f.Grid, append(slices.Clip(o.StopIDs), ends...)
	return c, nil
}

// single is the form of prompts that know nothing of each other.
type single struct{ prompts *hub.Prompts }

func (s single) Prompt(talk []chat.Message, tools []byte) ([]int32, error) {
	if err := plain(talk, tools); err != nil {
		return nil, err
	}
	for _, m := range talk {
		if m.Role != "user" && m.Role != "assistant" {
			return nil, &chat.RefusedError{Err: fmt.Errorf("the run learned prompts one by one, without a message of role %.40q", m.Role)}
		}
	}
	return s.prompts.Encode([]byte(talk[len(talk)-1].Content))
}

// Lines is the form of conversations that a run without a chat template learns: a line "role: content" for each
// message, and "assistant:" with the run's separator before an answer.
func Lines(f *hub.Folder) (Form, error) {
	if f.Separator == nil || f.Tokenizer == nil {
		return nil, fmt.Errorf("generate: %s has not learned lines of conversations", f.Dir)
	}
	prompts, err := hub.NewPrompts(f.Tokenizer, *f.Separator)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Dir, err)
	}
	return lines{prompts, *f.Separator}, nil
}

type lines struct {
	prompts   *hub.Prompts
	separator string
}

func (l lines) Prompt(talk []chat.Message, tools []byte) ([]int32, error) {
	if err := plain(talk, tools); err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, m := range talk {
		gap := " "
		if m.Role == "assistant" {
			gap = l.separator
		}
		fmt.Fprintf(&b, "%s:%s%s\n", m.Role, gap, strings.TrimSpace(m.Content))
	}
	return l.prompts.Encode([]byte(b.String() + "assistant:"))
}

// plain refuses what takes a template.
func plain(talk []chat.Message, tools []byte) error {
	if len(talk) == 0 || len(tools) > 0 {
		return &chat.RefusedError{Err: errors.New("without a chat template a conversation is messages alone, at least one")}
	}
	return nil
}

// Advised returns o with the settings of sampling that a model's generation_config.json names (hub.Folder.Generation):
// temperature, top_k, top_p, min_p and repetition_penalty; or the likeliest token always, if do_sample is false there.
// A value that is not valid is left aside.
func (o Options) Advised(generation map[string]json.RawMessage) Options {
	take := func(key string, set func(o *Options, v float64)) {
		var v *float64
		if json.Unmarshal(generation[key], &v) != nil || v == nil {
			return
		}
		with := o
		if set(&with, *v); with.Validate() == nil {
			o = with
		}
	}
	take("temperature", func(o *Options, v float64) { o.Temperature = v })
	take("top_k", func(o *Options, v float64) { o.TopK = int(v) })
	take("top_p", func(o *Options, v float64) { o.TopP = v })
	take("min_p", func(o *Options, v float64) { o.MinP = v })
	take("repetition_penalty", func(o *Options, v float64) { o.RepetitionPenalty = v })
	if string(generation["do_sample"]) == "false" {
		o.Temperature = 0
	}
	return o
}
