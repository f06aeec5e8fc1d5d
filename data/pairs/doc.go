// Package pairs turns sentences and their translations into batches for an encoder-decoder, or for a language model
// that completes prompts: a [Reader] reads, filters and splits text, [Reader.Encode] turns it into tokens, a [Writer]
// stores them in one file, and [Batches] (training) or [Sequential] (evaluation) group the pairs of the stored [Set]
// by length.
//
// # Text
//
//   - Lines: two files, line n of one is the translation of line n of the other.
//   - CSV: one file, fields between commas, semicolons, tabs or pipes; quoted fields may hold these and line breaks.
//   - TSV: one file, columns between tabs; nothing is quoted.
//   - JSONL: one file of an object a line: {"prompt": .., "completion": ..}, or a
//     conversation, {"messages": [{"role": .., "content": ..}, ..]}, of at most 1000
//     messages. A content is a string, or a list of parts {"type": "text", "text":
//     ..}.
//   - JSON: one file with a list of such objects, alone or in an object: {"data": [..]}. It is read one by one.
//
// Columns and keys are found by their names: prompt and completion, instruction (input follows it) and output,
// question and answer, source and target, two languages, and more. A table of two columns without known names is read
// by place; one of more columns is an [ErrColumns] until two are chosen. Columns that count the rows are no texts. A
// first line is a header if it has a known name, or nothing but names while three quarters of the lines after it have
// more. [Report].Notes says what was taken.
//
// A conversation gives one pair for each message of role assistant. The message is the target. The source has a line
// "role: content" for each earlier message, then "assistant:". What the assistant said earlier stands there after its
// name and Options.Separator, as it was learned.
//
// Each may be compressed with gzip, start with a byte order mark and end its lines in CR LF. Text is UTF-8, or UTF-16.
// White space around a sentence is dropped, unless Options.KeepSpace is set. Pairs left out are counted by reason, with
// the first examples of each: see [Report]. [Sniff] tells files of pairs and of text apart.
//
// # Split
//
// Source sentences have an order by a hash of the sentence and the seed ([Split.Draw]). The first ones are for
// validation, the next for test: exactly the shares of [Split], and all others are for training. So all translations of
// a sentence are in one part. All pairs of a conversation are in the part of its first pair.
//
// # Stored sets
//
// A set named "train" is the file train.pairs. All numbers are little-endian:
//
//	offset  bytes
//	     0      8  magic "BDIAPAIR"
//	     8      4  version, 1
//	    12      4  width of one token in bytes: 2 when both vocabularies have at
//	               most 65536 tokens, else 4
//	    16      4  size of the source vocabulary, 1 to 2^31-1
//	    20      4  size of the target vocabulary, 1 to 2^31-1
//	    24      8  number of pairs, 1 to 2^31-1
//	    32      8  number of tokens of all pairs
//	    40     32  fingerprint of the source tokenizer (any 32 bytes; zero: not known)
//	    72     32  fingerprint of the target tokenizer
//	   104      4  CRC-32C of all bytes after the header
//	   108     16  zero
//	   124      4  CRC-32C of bytes 0 to 123
//	   128         tokens: of each pair the source, then the target
//	               lengths: of each pair two 2-byte numbers, source tokens and
//	               target tokens, each at most 65534
//
// The file ends with the last length. Tokens come straight from the tokenizer, without special ones, so byte-level
// tokens are the text itself.
//
// # Batches
//
// A batch holds as many pairs as a budget of tokens allows, padding included. An
// epoch takes every pair once: pairs are shuffled, sorted by length within
// windows, cut into batches, and the batches are shuffled. All of that is a pure
// function of the seed and the epoch, so the cursor of a run is its step number.
package pairs
