package judge

import "fmt"

// Read is what a reader found in one table at a cut.
type Read struct {
	Table Table
	Rows  []Row
}

// History remembers what readers have found at cuts, in the order of the cuts.
type History struct {
	Total    int64 // sum of the amounts of all tables, which nothing changes
	versions map[string]map[string]int64
}

// NewHistory begins a history in which the amounts add up to total.
func NewHistory(total int64) *History {
	return &History{Total: total, versions: map[string]map[string]int64{}}
}

// Observe takes in all tables at one cut and gives what cannot be, whatever the source holds:
// a key twice, a version that went back, amounts that do not add up.
func (h *History) Observe(reads []Read) ([]string, error) {
	var out []string
	sum := int64(0)
	for _, r := range reads {
		found, err := h.observe(r, &sum)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	if sum != h.Total {
		out = append(out, fmt.Sprintf("the amounts add up to %d, not to %d", sum, h.Total))
	}
	return out, nil
}

func (h *History) observe(r Read, sum *int64) ([]string, error) {
	t := r.Table
	newest := h.versions[t.Name]
	if newest == nil {
		newest = map[string]int64{}
		h.versions[t.Name] = newest
	}
	var out []string
	seen := make(map[string]bool, len(r.Rows))
	for _, row := range r.Rows {
		k := t.key(row)
		if seen[k] && len(out) < mostFindings {
			out = append(out, fmt.Sprintf("%s: key %s is there twice", t.Name, k))
		}
		seen[k] = true
		if t.Amount >= 0 {
			n, err := t.number(row, t.Amount)
			if err != nil {
				return nil, err
			}
			*sum += n
		}
		if t.Version < 0 {
			continue
		}
		v, err := t.number(row, t.Version)
		if err != nil {
			return nil, err
		}
		if v < newest[k] && len(out) < mostFindings {
			out = append(out, fmt.Sprintf("%s: key %s went from version %d back to %d", t.Name, k, newest[k], v))
		}
		newest[k] = max(newest[k], v)
	}
	return out, nil
}
