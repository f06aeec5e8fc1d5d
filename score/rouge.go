package score

// rougeBeta is the weight of recall relative to precision.
const rougeBeta = 1.2

// rougeL returns ROUGE-L of a segment as the MS-COCO caption evaluation computes it
// (C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004,
// equations 2 to 4): from precision and recall of the longest common subsequence of
// words, each the best over all references. A text without words counts as one empty
// word.
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

// commonSubsequence returns the length of the longest common subsequence.
func commonSubsequence(a, b []string) int {
	row := make([]int, len(b)+1) // row[j]: for the words of a so far and the first j words of b
	for _, w := range a {
		before := 0 // the value for one word fewer on both sides
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
