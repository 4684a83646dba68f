package main

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is where the demo talks. On a terminal one line at the bottom may be live: it is
// drawn again and again. Elsewhere a live line is printed plainly, now and then. It is used
// by one goroutine.
type screen struct {
	out      *os.File
	terminal bool
	colour   bool
	steps    int
	live     bool      // a live line stands at the cursor
	plain    time.Time // when a live line was last printed plainly
}

const (
	plainEvery = 5 * time.Second
	redraw     = 250 * time.Millisecond
	indent     = "   "
)

func newScreen(out *os.File) *screen {
	t := term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
	return &screen{out: out, terminal: t, colour: t && os.Getenv("NO_COLOR") == "", plain: time.Now()}
}

// The colours, as the parameters of an escape sequence.
const (
	bold  = "1"
	faint = "2"
	red   = "1;31"
	green = "32"
)

// paint colours text where colours are wanted.
func (s *screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// step begins a numbered step and says why it matters.
func (s *screen) step(title, why string) {
	s.wipe()
	s.steps++
	fmt.Fprintf(s.out, "\n%s  %s\n", s.paint(bold, fmt.Sprint(s.steps)), s.paint(bold, title))
	if why != "" {
		fmt.Fprintf(s.out, "%s%s\n", indent, s.paint(faint, why))
	}
	s.plain = time.Now()
}

// say prints a line of a step, or several.
func (s *screen) say(format string, args ...any) {
	s.wipe()
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		fmt.Fprintln(s.out, strings.TrimRight(indent+line, " "))
	}
}

// good prints a line of a step that says something went well.
func (s *screen) good(format string, args ...any) {
	s.say("%s", s.paint(green, fmt.Sprintf(format, args...)))
}

// alert prints a line of a step that must not be overlooked.
func (s *screen) alert(format string, args ...any) {
	s.say("%s", s.paint(red, fmt.Sprintf(format, args...)))
}

// raw prints text as it is, from the first column, so that it can be copied.
func (s *screen) raw(text string) {
	s.wipe()
	fmt.Fprintln(s.out, text)
}

// fail prints how the demo went wrong.
func (s *screen) fail(format string, args ...any) {
	s.wipe()
	fmt.Fprintf(s.out, "\n%s\n", s.paint(red, "demo: "+fmt.Sprintf(format, args...)))
}

// show draws the live line.
func (s *screen) show(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !s.terminal {
		if time.Since(s.plain) >= plainEvery {
			s.plain = time.Now()
			fmt.Fprintf(s.out, "%s%s\n", indent, text)
		}
		return
	}
	fmt.Fprintf(s.out, "\r\x1b[K%s", s.cut(indent+text))
	s.live = true
}

// cut shortens a line to the terminal's width: a wrapped line could not be redrawn.
func (s *screen) cut(line string) string {
	width, _, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || utf8.RuneCountInString(line) < width {
		return line
	}
	return string([]rune(line)[:width-1])
}

// wipe removes the live line.
func (s *screen) wipe() {
	if s.live {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.live = false
	}
}

// wait runs work on the side and shows the seconds that it takes. work is to end by itself
// when the demo is interrupted.
func (s *screen) wait(what string, work func() error) error {
	began, done := time.Now(), make(chan error, 1)
	go func() { done <- work() }()
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			s.wipe()
			return err
		case <-ticker.C:
			s.show("%s  %.0f s", what, time.Since(began).Seconds())
		}
	}
}

// seconds prints a duration as people read it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
