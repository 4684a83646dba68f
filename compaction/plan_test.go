package compaction

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cdcd/table"
	"pgregory.net/rapid"
)

// kib gives files of equal size, 100 rows a KiB, oldest first.
func kib(n int, size, deleted int64) []table.LiveFile {
	out := make([]table.LiveFile, n)
	for i := range out {
		out[i] = table.LiveFile{Path: fmt.Sprintf("f%02d-%d", i, size), Rows: 100 * size, Deleted: deleted, Bytes: size << 10, Sequence: int64(i)}
	}
	return out
}

func testPolicy() Policy { return Policy{TargetBytes: 1 << 20, DeletedShare: 0.2} }

// text gives a plan for people.
func text(groups []Group) string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "%s: %d files (%s..%s), %d rows, %d dropped, %d KiB to %d\n",
			g.Reason, len(g.Files), g.Files[0].Path, g.Files[len(g.Files)-1].Path, g.Rows, g.Deleted, g.Read>>10, g.Written>>10)
	}
	return b.String()
}

func TestPlans(t *testing.T) {
	inPartition := func(name string, files []table.LiveFile) []table.LiveFile {
		for i := range files {
			files[i].Partition, files[i].Path = name, name+files[i].Path
		}
		return files
	}
	for name, c := range map[string]struct {
		files []table.LiveFile
		want  string
	}{
		"no files":                 {nil, ""},
		"few small files":          {kib(7, 1, 0), ""},
		"small files":              {kib(8, 1, 0), "small files: 8 files (f00-1..f07-1), 800 rows, 0 dropped, 8 KiB to 8\n"},
		"a tier is merged at once": {kib(20, 1, 0), "small files: 20 files (f00-1..f19-1), 2000 rows, 0 dropped, 20 KiB to 20\n"},
		"tiers are apart":          {append(kib(7, 1, 0), kib(7, 40, 0)...), ""},
		"the cheapest first": {
			append(kib(8, 40, 0), kib(8, 1, 0)...),
			"small files: 8 files (f00-1..f07-1), 800 rows, 0 dropped, 8 KiB to 8\nsmall files: 8 files (f00-40..f07-40), 32000 rows, 0 dropped, 320 KiB to 320\n",
		},
		"up to the target": {kib(3, 500, 0), "small files: 2 files (f00-500..f01-500), 100000 rows, 0 dropped, 1000 KiB to 1000\n"},
		"full files":       {kib(10, 600, 0), ""},
		"huge files":       {kib(3, 5000, 0), ""},
		"few deletes":      {kib(1, 600, 11_999), ""},
		"many deletes": {
			kib(1, 600, 12_000), "deleted rows: 1 files (f00-600..f00-600), 48000 rows, 12000 dropped, 600 KiB to 480\n",
		},
		"few bytes of deleted rows": {kib(7, 1, 90), ""},
		"many files with few bytes": {
			kib(8, 1, 90), "deleted rows: 8 files (f00-1..f07-1), 80 rows, 720 dropped, 8 KiB to 0\n",
		},
		"dead files go together": {
			kib(3, 5000, 500_000), "deleted rows: 3 files (f00-5000..f02-5000), 0 rows, 1500000 dropped, 15000 KiB to 0\n",
		},
		"the emptiest first": {
			append(kib(1, 4000, 100_000), kib(1, 2000, 100_000)...),
			"deleted rows: 1 files (f00-2000..f00-2000), 100000 rows, 100000 dropped, 2000 KiB to 1000\n" +
				"deleted rows: 1 files (f00-4000..f00-4000), 300000 rows, 100000 dropped, 4000 KiB to 3000\n",
		},
		"small before deleted": {
			append(kib(1, 600, 50_000), kib(8, 1, 0)...),
			"small files: 8 files (f00-1..f07-1), 800 rows, 0 dropped, 8 KiB to 8\n" +
				"deleted rows: 1 files (f00-600..f00-600), 10000 rows, 50000 dropped, 600 KiB to 100\n",
		},
		"where rows die files are smaller": {
			kib(5, 60, 1800), "deleted rows: 3 files (f00-60..f02-60), 12600 rows, 5400 dropped, 180 KiB to 126\n" +
				"deleted rows: 2 files (f03-60..f04-60), 8400 rows, 3600 dropped, 120 KiB to 84\n",
		},
		"those are full":       {append(kib(9, 70, 500), kib(1, 8, 160)...), ""},
		"partitions are apart": {append(inPartition("a", kib(7, 1, 0)), inPartition("b", kib(7, 1, 0))...), ""},
	} {
		if got := text(Plan(c.files, testPolicy())); got != c.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, c.want)
		}
	}
}

// apply gives the files after a group was rewritten. Outputs compress to a share of what was
// expected.
func apply(files []table.LiveFile, g Group, sequence int64, share float64) []table.LiveFile {
	gone := map[string]bool{}
	for _, f := range g.Files {
		gone[f.Path] = true
	}
	files = slices.DeleteFunc(slices.Clone(files), func(f table.LiveFile) bool { return gone[f.Path] })
	if g.Rows == 0 {
		return files
	}
	out := g.result()
	out.Bytes, out.Sequence, out.Path = 1+int64(share*float64(out.Bytes)), sequence, fmt.Sprint("r", sequence)
	return append(files, out)
}

func drawFiles(t *rapid.T) []table.LiveFile {
	n := rapid.IntRange(0, 60).Draw(t, "files")
	out := make([]table.LiveFile, n)
	for i := range out {
		rows := int64(1) << rapid.IntRange(0, 20).Draw(t, "size")
		rows += rapid.Int64Range(0, rows-1).Draw(t, "rows")
		out[i] = table.LiveFile{
			Path: fmt.Sprint("f", i), Rows: rows, Deleted: rapid.Int64Range(0, rows).Draw(t, "deleted"), Bytes: 500 + rows*rapid.Int64Range(1, 50).Draw(t, "width"),
			Sequence: int64(i), Spec: int32(rapid.IntRange(0, 1).Draw(t, "spec")), Partition: rapid.SampledFrom([]string{"", "a"}).Draw(t, "partition"),
		}
		if rapid.Bool().Draw(t, "clean") {
			out[i].Deleted = 0
		}
	}
	return out
}

func TestPlansAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, p := drawFiles(t), testPolicy()
		byPath := map[string]table.LiveFile{}
		for _, f := range files {
			byPath[f.Path] = f
		}
		for _, g := range Plan(files, p) {
			sum := Group{Reason: g.Reason}
			for _, f := range g.Files {
				if byPath[f.Path] != f {
					t.Fatalf("%s is in two groups, or in none", f.Path)
				}
				delete(byPath, f.Path)
				if first := g.Files[0]; f.Spec != first.Spec || f.Partition != first.Partition {
					t.Fatalf("%s and %s are of different partitions", f.Path, first.Path)
				}
				if full(f, p) && !dirty(f, p) {
					t.Fatalf("%s is large and has few deleted rows", f.Path)
				}
				sum.add(f)
			}
			if sum.Rows != g.Rows || sum.Deleted != g.Deleted || sum.Read != g.Read || sum.Written != g.Written {
				t.Fatalf("the group %+v is estimated as %+v", sum, g)
			}
			if len(g.Files) > 1 && g.Written > p.TargetBytes || len(g.Files) > maxGroupFiles {
				t.Fatalf("%d files become %d bytes", len(g.Files), g.Written)
			}
			if len(g.Files) < 2 && g.Deleted == 0 {
				t.Fatalf("nothing is gained by rewriting %+v", g)
			}
		}
	})
}

func TestPlanningEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files, p := drawFiles(t), testPolicy()
		share := rapid.Float64Range(0.1, 1.1).Draw(t, "compresses to")
		for round := range int64(200) {
			plan := Plan(files, p)
			if len(plan) == 0 {
				checkDone(t, files, p)
				return
			}
			before := Measure(files, p)
			files = apply(files, plan[0], 1000+round, share)
			if after := Measure(files, p); after.Files > before.Files || after.Deleted > before.Deleted || after.Files == before.Files && after.Deleted == before.Deleted {
				t.Fatalf("%+v becomes %+v", before, after)
			}
		}
		t.Fatal("planning does not end")
	})
}

// checkDone checks what holds where nothing is left to do: in each partition fewer than
// fanout small files a tier, and as few with many deleted rows, of which none has many bytes.
func checkDone(t interface{ Fatalf(string, ...any) }, files []table.LiveFile, p Policy) {
	type where struct {
		spec      int32
		partition string
		tier      int
	}
	const deleted = -1
	small := map[where]int{}
	for _, f := range files {
		w := where{f.Spec, f.Partition, tier(f)}
		switch {
		case dirty(f, p) && f.Bytes-liveBytes(f) >= p.TargetBytes/leastReclaimed:
			t.Fatalf("%+v is left", f)
		case dirty(f, p):
			w.tier = deleted
		case full(f, p):
			continue
		}
		small[w]++
	}
	for w, n := range small {
		if n >= fanout {
			t.Fatalf("%d small files are left in %+v", n, w)
		}
	}
}

// TestWriteAmplification makes 10,000 commits and follows every plan at once. The number of
// files stays below (fanout-1) a tier and two for each target of bytes, and a row is rewritten
// at most once a tier.
func TestWriteAmplification(t *testing.T) {
	p := Policy{TargetBytes: 8 << 20, DeletedShare: 0.2}
	const width = 32
	draw := rand.New(rand.NewPCG(1, 2))
	for name, rows := range map[string]func() int64{
		"equal commits": func() int64 { return 100 },
		"any commits":   func() int64 { return 1 + draw.Int64N(1000) },
		"few large ones": func() int64 {
			if draw.IntN(100) == 0 {
				return 100_000
			}
			return 10
		},
	} {
		var files []table.LiveFile
		added, rewritten, most := int64(0), int64(0), 0
		tiers := int64(tier(table.LiveFile{Rows: p.TargetBytes / width / 2}) + 1)
		for i := range int64(10_000) {
			n := rows()
			added += n
			files = append(files, table.LiveFile{Path: fmt.Sprint("c", i), Rows: n, Bytes: n * width, Sequence: 100 * i})
			for step := int64(1); ; step++ {
				plan := Plan(files, p)
				if len(plan) == 0 {
					break
				}
				rewritten += plan[0].Rows
				files = apply(files, plan[0], 100*i+step, 1)
			}
			most = max(most, len(files))
			if bound := tiers*(fanout-1) + 2*added*width/p.TargetBytes; int64(len(files)) > bound {
				t.Fatalf("%s: %d files after %d commits, the bound is %d", name, len(files), i+1, bound)
			}
		}
		if rewritten > tiers*added {
			t.Errorf("%s: %d rows were rewritten, %d added, over %d tiers", name, rewritten, added, tiers)
		}
		t.Logf("%s: at most %d files, each row rewritten %.2f times, the bound is %d", name, most, float64(rewritten)/float64(added), tiers)
	}
}

// TestDeletesAreDroppedCheaply updates rows at random: what is written for one that is dropped
// stays below what the share allows.
func TestDeletesAreDroppedCheaply(t *testing.T) {
	p := Policy{TargetBytes: 1 << 20, DeletedShare: 0.2}
	draw := rand.New(rand.NewPCG(3, 4))
	files := kib(20, 900, 0)
	written, dropped := int64(0), int64(0)
	for i := range int64(5000) {
		f := &files[draw.IntN(len(files))]
		f.Deleted += min(f.Rows-f.Deleted, 1+draw.Int64N(500))
		for step := int64(1); ; step++ {
			plan := Plan(files, p)
			if len(plan) == 0 {
				break
			}
			if plan[0].Reason == DeletedRows {
				written, dropped = written+plan[0].Rows, dropped+plan[0].Deleted
			}
			files = apply(files, plan[0], 100*(i+1)+step, 1)
		}
		if len(files) == 0 {
			break
		}
	}
	if limit := (1 - p.DeletedShare) / p.DeletedShare * float64(dropped); float64(written) > limit {
		t.Errorf("%d rows were written to drop %d", written, dropped)
	}
}
