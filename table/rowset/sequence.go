package rowset

import "cdcd/capture"

// Clash is a change that does not go with those before it on its key: a row comes under a key that
// one has, or changes or goes under a key that none has.
type Clash struct {
	Ref  Ref
	Live bool // there is a row of the key already
}

// FoldSequence is Fold for a key that nobody enforces. It also gives the first change of each key,
// which [ClashOf] holds against what is there before. The Clash is the first in the order of the
// keys, nil for none.
func FoldSequence(batches []*capture.Batch, e *Encoder) (f *Folded, first []Ref, clash *Clash, err error) {
	keys, err := encodeAll(batches, e)
	if err != nil {
		return nil, nil, nil, err
	}
	refs := refsOf(batches, len(keys))
	f = &Folded{}
	for _, same := range byKey(keys) {
		f.Keys = append(f.Keys, same[0].key)
		first = append(first, refs[same[0].order])
		last := refs[same[len(same)-1].order]
		f.Refs = append(f.Refs, last)
		for i := 1; i < len(same) && clash == nil; i++ {
			clash = ClashOf(batches, refs[same[i].order], stays(batches, refs[same[i-1].order]))
		}
	}
	f.Present = present(batches, f.Refs)
	return f, first, clash, nil
}

// stays reports that there is a row behind a change.
func stays(batches []*capture.Batch, r Ref) bool {
	return batches[r.Batch].Ops[r.Row] != capture.OpDelete
}

// ClashOf holds a change against whether its key has a row before it, and gives nil where the two
// go together.
func ClashOf(batches []*capture.Batch, r Ref, live bool) *Clash {
	op := batches[r.Batch].Ops[r.Row]
	if comes := op == capture.OpInsert || op == capture.OpLoad; comes == live {
		return &Clash{r, live}
	}
	return nil
}
