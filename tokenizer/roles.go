package tokenizer

// RoleTokens returns the spellings of the tokens that have a role in tok, by their keys in tokenizer_config.json:
// bos_token, eos_token, unk_token and pad_token. A vocabulary of characters has none.
func RoleTokens(tok Tokenizer) map[string]string {
	b, ok := tok.(*BPE)
	if !ok {
		return nil
	}
	tokens := map[string]string{}
	for r, key := range roleKeys {
		if id := b.roles[r]; id >= 0 {
			tokens[key], _ = b.Spelling(id)
		}
	}
	return tokens
}
