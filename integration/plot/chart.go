package main

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"slices"
)

// chart is lines over one axis. Both axes begin at 0.
type chart struct {
	title, across, up string
	lines             []line
}

type line struct {
	name string
	x, y []float64
}

const (
	width, height             = 760, 320
	left, right, top, bottom  = 64, 150, 36, 44
	plotWidth, plotHeight     = width - left - right, height - top - bottom
	ticksAcross, ticksUpright = 5, 5
)

// colours are told apart by those who do not see red and green, too.
var colours = [...]string{"#0072b2", "#d55e00", "#009e73", "#cc79a7"}

// svg draws the chart.
func (c chart) svg() []byte {
	var b bytes.Buffer
	mostX, mostY := c.most(func(l line) []float64 { return l.x }), c.most(func(l line) []float64 { return l.y })
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#333">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="22" font-size="14">%s</text>`+"\n", left, c.title)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", left+plotWidth/2, height-8, c.across)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, top-8, c.up)
	for v := range ticks(mostX, ticksAcross) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", left+v/mostX*plotWidth, height-bottom+16, label(v))
	}
	for v := range ticks(mostY, ticksUpright) {
		y := top + plotHeight - v/mostY*plotHeight
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left, left+plotWidth, y, y)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-8, y+4, label(v))
	}
	for i, l := range c.lines {
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, colour)
		for j := range l.x {
			fmt.Fprintf(&b, "%.1f,%.1f ", left+l.x[j]/mostX*plotWidth, top+plotHeight-l.y[j]/mostY*plotHeight)
		}
		fmt.Fprintf(&b, `"/>`+"\n"+`<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+plotWidth+8, top+12+18*i, colour, l.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// most is the largest value of all lines.
func (c chart) most(of func(line) []float64) float64 {
	most := 0.0
	for _, l := range c.lines {
		most = max(most, slices.Max(of(l)))
	}
	if most == 0 {
		return 1
	}
	return most
}

// ticks gives round numbers from 0 to the most, about as many as wanted.
func ticks(most float64, wanted int) iter.Seq[float64] {
	step := math.Pow(10, math.Floor(math.Log10(most/float64(wanted))))
	for _, by := range []float64{1, 2, 5, 10} {
		if step*by*float64(wanted) >= most {
			step *= by
			break
		}
	}
	return func(yield func(float64) bool) {
		for v := 0.0; v <= most && yield(v); v += step {
		}
	}
}

func label(v float64) string { return fmt.Sprintf("%g", math.Round(v*1000)/1000) }
