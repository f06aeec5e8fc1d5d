// Package data turns text into micro-batches: a [Source] lists the files of a
// corpus, an [Encoder] turns them into tokens, a [ShardWriter] stores the
// tokens on disk, and a [Sampler] (training) or [Sequential] (evaluation) cuts
// windows from them. The window of a training sample is a pure function of the
// seed, the step and the sample's index in the global batch. So a run only has
// to save its step number, and every split into micro-batches gives the same
// data.
//
// # Token shards
//
// A set of tokens named "train" lies in files train-00000.tokens,
// train-00001.tokens and so on. All numbers are little-endian. Each file is a
// header of 128 bytes followed by the tokens:
//
//	offset  bytes
//	     0      8  magic "BDIATOK\x00"
//	     8      4  version, 1
//	    12      4  width of one token in bytes: 2 when the vocabulary has at
//	               most 65536 tokens, else 4
//	    16      4  vocabulary size V, 1 to 2^31-1
//	    20      4  CRC-32C of the token bytes
//	    24      8  number of tokens in this shard
//	    32     32  fingerprint of the tokenizer (any 32 bytes; zero: not known)
//	    64      4  index of this shard
//	    68      4  number of shards in the set
//	    72      8  number of tokens in the whole set
//	    80     44  zero
//	   124      4  CRC-32C of bytes 0 to 123
//	   128         tokens, each an unsigned number below V
//
// The file ends with the last token. Tokens start at a multiple of 64 bytes.
// The shards of a set agree in every field that describes the set.
package data
