package score

// rougeBeta is how many times recall matters more than precision.
const rougeBeta = 1.2

// rougeL is ROUGE-L of a segment as the MS-COCO caption evaluation has it (C.-Y. Lin,
// "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, equations 2 to 4):
// precision and recall of the longest common subsequence of words, each the best of
// all references. A text without words is one empty word.
func rougeL(hyp []string, refs [][]string) float64 {
	h := nonEmpty(hyp)
	var precision, recall float64
	for _, ref := range refs {
		r := nonEmpty(ref)
		common := float64(commonSubsequence(h, r))
		precision = max(precision, common/float64(len(h)))
		recall = max(recall, common/float64(len(r)))
	}
	if precision == 0 {
		return 0
	}
	const b = rougeBeta * rougeBeta
	return (1 + b) * precision * recall / (recall + b*precision)
}

func nonEmpty(words []string) []string {
	if len(words) == 0 {
		return []string{""}
	}
	return words
}

// commonSubsequence is the length of the longest common subsequence.
func commonSubsequence(a, b []string) int {
	row := make([]int, len(b)+1) // of the words of a so far and the first j of b
	for _, w := range a {
		before := 0 // one word of each less
		for j, v := range b {
			above := row[j+1]
			if w == v {
				row[j+1] = before + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			before = above
		}
	}
	return row[len(b)]
}
