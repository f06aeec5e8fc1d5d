package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/train/text"
)

const textTask = text.Name

func (v textView) kind(dir string) string {
	return ofVocabulary(dir, "Text, vocabulary of %d tokens", v.Settings.Model.Vocab)
}

func (v tuneView) kind(dir string) string {
	return ofVocabulary(dir, "Completions of prompts, vocabulary of %d tokens", v.Settings.Model.Vocab)
}

func (v translationView) kind(dir string) string {
	return ofVocabulary(dir, "Translation, vocabularies of %d and %d tokens", v.Settings.Seq2Seq.SourceVocab, v.Settings.Seq2Seq.TargetVocab)
}

func (v imageView) kind(string) string {
	return fmt.Sprintf("Images, %d classes", v.Settings.ViT.Classes)
}

// ofVocabulary is a kind of the vocabulary in dir.
func ofVocabulary(dir, format string, sizes ...any) string {
	return fmt.Sprintf(format, sizes...) + "\x00" + vocabulary(dir)
}

// vocabularyFiles are tokenizers' files, of which the first that a folder has tells its vocabulary.
var vocabularyFiles = []string{"chars.json", "tokenizer.json", "vocab.json"}

const maxVocabulary = 64 << 20 // bytes of a tokenizer's file

// vocabulary tells tokenizers apart: a checksum of the files of the ones in dir and its folders.
func vocabulary(dir string) string {
	sum := sha256.New()
	folders, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, folder := range append([]string{dir}, folders...) {
		if slices.Contains([]string{"best", "data", "state"}, filepath.Base(folder)) && folder != dir {
			continue
		}
		for _, name := range vocabularyFiles {
			if b, err := textfile.ReadFile(filepath.Join(folder, name), maxVocabulary); err == nil {
				sum.Write(b)
				break
			}
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// tokensPerByte is how many tokens a byte of the run's held-out text has.
func tokensPerByte(ctx context.Context, dir string) (float64, error) {
	r, err := openRun(dir)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if err := r.Task.Open(ctx, nil); err != nil {
		return 0, err
	}
	t := r.Task.(*text.Task)
	held := t.Tokens(false)
	if held == nil || held.Len() < 2 {
		return 0, errors.New("nothing is held out")
	}
	bytes, err := bytesOf(ctx, held, t.Tokenizer.Decode)
	return float64(held.Len()-1) / float64(bytes), err
}

// bytesOf counts the bytes of a text, but for its first token, which has no loss.
func bytesOf(ctx context.Context, text data.Tokens, decode func([]int32) ([]byte, error)) (bytes int64, err error) {
	ids := make([]int32, 1<<14)
	for at := int64(1); at < text.Len(); at += int64(len(ids)) {
		ids = ids[:min(int64(len(ids)), text.Len()-at)]
		if err := errors.Join(text.Read(ids, at), ctx.Err()); err != nil {
			return 0, err
		}
		piece, err := decode(ids)
		if err != nil {
			return 0, err
		}
		bytes += int64(len(piece))
	}
	return bytes, nil
}
