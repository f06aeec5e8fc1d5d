package jinja

import (
	"slices"
	"strings"
)

// keyed are items with what they are compared by: an attribute, and texts without regard to capitals.
func (r *run) keyed(items []any, a bound) (keys []any, err error) {
	keys = slices.Clone(items)
	if attr := a.get(2, "attribute", nil); attr != nil {
		if keys, err = r.attributes(items, attr, nil); err != nil {
			return nil, err
		}
	}
	if !truth(a.get(1, "case_sensitive", false)) {
		for i, k := range keys {
			if s, ok := k.(string); ok {
				if err := r.take(len(s)); err != nil {
					return nil, err
				}
				keys[i] = strings.ToLower(s)
			}
		}
	}
	return keys, nil
}

func sortItems(r *run, of any, args []any, named map[string]any) (any, error) {
	items, err := r.items(of)
	if err != nil {
		return nil, err
	}
	a := bound{r, "sort", args, named}
	keys, err := r.keyed(items, a)
	if err != nil {
		return nil, err
	}
	places := make([]int, len(items))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int {
		n, failed := r.order(keys[i], keys[j])
		if err == nil {
			err = failed
		}
		if truth(a.get(0, "reverse", false)) {
			n = -n
		}
		return n
	})
	if err != nil {
		return nil, err
	}
	sorted := &List{Items: make([]any, len(items))}
	for i, n := range places {
		sorted.Items[i] = items[n]
	}
	return sorted, r.take(32 * len(items))
}

func unique(r *run, of any, args []any, named map[string]any) (any, error) {
	items, err := r.items(of)
	if err != nil {
		return nil, err
	}
	keys, err := r.keyed(items, bound{r, "unique", append([]any{nil}, args...), named})
	if err != nil {
		return nil, err
	}
	kept, seen := &List{}, &List{}
	for i, key := range keys {
		has, err := r.contains(seen, key)
		if err != nil {
			return nil, err
		}
		if !has {
			kept.Items, seen.Items = append(kept.Items, items[i]), append(seen.Items, key)
		}
	}
	return kept, r.take(32 * len(items))
}

func dictsort(r *run, of any, args []any, named map[string]any) (any, error) {
	d, ok := of.(*Dict)
	if !ok {
		return nil, r.wrong("dictsort takes a dictionary, not %s", typeName(of))
	}
	pairs, err := dictMethod(d, "items")(r, nil, nil)
	if err != nil {
		return nil, err
	}
	a := bound{r, "dictsort", args, named}
	by := any(int64(0))
	if a.get(1, "by", "key") == "value" {
		by = int64(1)
	}
	return sortItems(r, pairs, nil, map[string]any{"attribute": by, "case_sensitive": a.get(0, "case_sensitive", false), "reverse": a.get(2, "reverse", false)})
}

func sortedTexts(keys []string) []string { return slices.Sorted(slices.Values(keys)) }

func mapItems(r *run, of any, args []any, named map[string]any) (any, error) {
	items, err := r.items(of)
	if err != nil {
		return nil, err
	}
	if attr, ok := named["attribute"]; ok {
		all, err := r.attributes(items, attr, named["default"])
		return list(all...), err
	}
	id, _ := bound{r, "map", args, named}.at(0).(string)
	f := filters[id]
	if f == nil {
		return nil, r.wrong("map takes an attribute or a filter")
	}
	all := make([]any, len(items))
	for i, item := range items {
		if err := r.work(0); err != nil {
			return nil, err
		}
		if all[i], err = f(r, item, args[1:], nil); err != nil {
			return nil, err
		}
	}
	return list(all...), r.take(16 * len(items))
}

// chosen are the items for which a test holds, or does not: of the items or an attribute of them.
func chosen(byAttribute, hold bool) filter {
	return func(r *run, of any, args []any, _ map[string]any) (any, error) {
		items, err := r.items(of)
		if err != nil {
			return nil, err
		}
		values := items
		if byAttribute {
			if len(args) == 0 {
				return nil, r.wrong("a choice by an attribute needs its name")
			}
			if values, err = r.attributes(items, args[0], nil); err != nil {
				return nil, err
			}
			args = args[1:]
		}
		test := func(_ *run, v any, _ []any) (bool, error) { return truth(v), nil }
		if len(args) > 0 {
			id, _ := args[0].(string)
			if test = tests[id]; test == nil {
				return nil, r.wrong("no test is named %.40q", id)
			}
			args = args[1:]
		}
		kept := &List{}
		for i, v := range values {
			holds, err := test(r, v, args)
			if err == nil {
				err = r.work(0)
			}
			if err != nil {
				return nil, err
			}
			if holds == hold {
				kept.Items = append(kept.Items, items[i])
			}
		}
		return kept, r.take(16 * len(kept.Items))
	}
}

// extreme is the least item (-1) or the largest (1).
func extreme(sign int) filter {
	return func(r *run, of any, args []any, named map[string]any) (any, error) {
		items, err := r.items(of)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return undefined{"the extreme of no items"}, nil
		}
		keys, err := r.keyed(items, bound{r, "min", append([]any{nil}, args...), named})
		if err != nil {
			return nil, err
		}
		best := 0
		for i := range keys {
			n, err := r.order(keys[i], keys[best])
			if err != nil {
				return nil, err
			}
			if sign*n > 0 {
				best = i
			}
		}
		return items[best], nil
	}
}

func sum(r *run, of any, args []any, named map[string]any) (any, error) {
	a := bound{r, "sum", args, named}
	items, err := r.items(of)
	if err != nil {
		return nil, err
	}
	if attr := a.get(0, "attribute", nil); attr != nil {
		if items, err = r.attributes(items, attr, nil); err != nil {
			return nil, err
		}
	}
	total := a.get(1, "start", int64(0))
	for _, item := range items {
		if total, err = r.operate("+", total, item); err != nil {
			return nil, err
		}
	}
	return total, nil
}
