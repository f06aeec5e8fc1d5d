package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/tokenizer"
)

// tokenizerInfo describes a tokenizer.
type tokenizerInfo struct {
	Kind     string   `json:"kind"`
	Vocab    int      `json:"vocab"`
	Added    int      `json:"added"`   // tokens that are matched in text
	Words    []string `json:"words"`   // regular expressions, one after the other
	Before   []string `json:"before"`  // tokens that begin a text
	After    []string `json:"after"`   // and end it
	End      *string  `json:"end"`     // token that ends a text a model writes
	Missing  []string `json:"missing"` // bytes without a token, in hexadecimal
	Template bool     `json:"chat_template"`
}

func newTokenizerInfo() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "info TOKENIZER",
		Short:   "Describe a tokenizer: its size, words and special tokens",
		Example: "  bdia tokenizer info SmolLM2-135M",
		Args:    cli.Arguments(1, 1, "a tokenizer folder"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		tok, err := loadTokenizer(args[0])
		if err != nil {
			return err
		}
		info := describeTokenizer(tok)
		if asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), info)
		}
		return info.print(cmd.OutOrStdout())
	}
	return c
}

// describeTokenizer returns what is to be told of tok.
func describeTokenizer(tok tokenizer.Tokenizer) tokenizerInfo {
	info := tokenizerInfo{Kind: "characters", Vocab: tok.VocabSize(), Words: []string{}, Before: []string{}, After: []string{}, Missing: []string{},
		Template: tokenizer.ChatTemplate(tok) != ""}
	b, ok := tok.(*tokenizer.BPE)
	if !ok {
		return info
	}
	info.Kind = "BPE of characters"
	if b.ByteLevel() {
		info.Kind = "byte-level BPE"
	}
	info.Added, info.Words = len(b.Added()), slices.Concat(info.Words, b.Words())
	before, after := tokenizer.Around(tok)
	info.Before, info.After = spelt(b, before), spelt(b, after)
	if id, ok := b.EndOfText(); ok {
		info.End = &spelt(b, []int32{id})[0]
	}
	for _, c := range tokenizer.Missing(tok) {
		info.Missing = append(info.Missing, fmt.Sprintf("%02x", c))
	}
	return info
}

// spelt returns the spelling of tokens.
func spelt(b *tokenizer.BPE, ids []int32) []string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i], _ = b.Spelling(id)
	}
	return list
}

func (t tokenizerInfo) print(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s of %s tokens", t.Kind, cli.Count(int64(t.Vocab)))
	if t.Added > 0 {
		fmt.Fprintf(&s, ", %s of them added", cli.Count(int64(t.Added)))
	}
	s.WriteString("\n")
	for _, regex := range t.Words {
		fmt.Fprintf(&s, "Words          %s\n", regex)
	}
	for _, line := range []struct {
		name   string
		tokens []string
	}{{"Before a text", t.Before}, {"After a text", t.After}} {
		if len(line.tokens) > 0 {
			fmt.Fprintf(&s, "%-14s %s\n", line.name, strings.Join(line.tokens, " "))
		}
	}
	if t.End != nil {
		fmt.Fprintf(&s, "End of a text  %s\n", *t.End)
	}
	if n := len(t.Missing); n > 0 {
		fmt.Fprintf(&s, "Without token  %d bytes: %s\n", n, strings.Join(t.Missing[:min(n, 32)], " "))
	}
	if t.Template {
		s.WriteString("It has a template of conversations.\n")
	}
	_, err := io.WriteString(w, s.String())
	return err
}
