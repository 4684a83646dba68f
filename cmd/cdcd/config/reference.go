package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxReferenceBytes bounds a file that a reference names.
const maxReferenceBytes = 64 << 10

// expand replaces the references of one scalar and counts them. It goes through the text
// once and never looks for references in what a reference gave.
func expand(text string, env Env) (out string, refs int, err error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			return b.String(), refs, nil
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(literal + "${")
			text = after
			continue
		}
		reference, rest, closed := strings.Cut(after, "}")
		if !closed {
			return "", refs, errors.New("a reference has no closing brace; write $${ for a literal ${")
		}
		value, err := resolve(reference, env)
		if err != nil {
			return "", refs, err
		}
		b.WriteString(before + value)
		text = rest
		refs++
	}
}

// escape is the inverse of expand for a text without references.
func escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// resolve returns what kind:argument stands for. An unknown kind is not repeated in the
// error, for it may be a piece of a literal password.
func resolve(reference string, env Env) (string, error) {
	kind, arg, _ := strings.Cut(reference, ":")
	switch kind {
	case "env":
		value, ok := env.LookupEnv(arg)
		if !ok {
			return "", fmt.Errorf("environment variable %q is not set", arg)
		}
		return checkUTF8(value, reference)
	case "file":
		if !filepath.IsAbs(arg) {
			return "", fmt.Errorf("the path %q of a ${file:} reference must be absolute", arg)
		}
		return readReference(arg, reference, env)
	case "cred":
		dir, ok := env.LookupEnv("CREDENTIALS_DIRECTORY")
		if !ok {
			return "", fmt.Errorf("credential %q: $CREDENTIALS_DIRECTORY is not set; systemd sets it for LoadCredential= and ImportCredential=", arg)
		}
		if arg == "" || arg == "." || arg == ".." || strings.Contains(arg, "/") {
			return "", fmt.Errorf("%q is not the name of a credential", arg)
		}
		return readReference(filepath.Join(dir, arg), reference, env)
	}
	return "", errors.New("unknown reference: want ${env:NAME}, ${file:/path} or ${cred:NAME}; write $${ for a literal ${")
}

// readReference returns the content of a file without one trailing newline, which editors
// and echo add.
func readReference(path, reference string, env Env) (string, error) {
	data, err := env.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("${%s}: %w", reference, err)
	}
	if len(data) > maxReferenceBytes {
		return "", fmt.Errorf("${%s}: the file is larger than %s", reference, Size(maxReferenceBytes))
	}
	text, cut := strings.CutSuffix(string(data), "\n")
	if cut {
		text = strings.TrimSuffix(text, "\r")
	}
	return checkUTF8(text, reference)
}

func checkUTF8(value, reference string) (string, error) {
	if !utf8.ValidString(value) {
		return "", fmt.Errorf("${%s} is not valid UTF-8", reference)
	}
	return value, nil
}
