package config

import (
	"strings"
	"testing"
)

func TestCredentialOutsideOfSystemd(t *testing.T) {
	env := testEnv(minimal + "namespace: ${cred:x}")
	delete(env.vars, "CREDENTIALS_DIRECTORY")
	_, _, err := Load(mainFile, env)
	want := `/etc/cdcd/cdcd.yaml:6:12: namespace: credential "x": $CREDENTIALS_DIRECTORY is not set`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
}

func TestReferences(t *testing.T) {
	tests := map[string]string{
		"${env:CDCD_MYSQL_PASSWORD}": "s3cret",
		"a${env:EMPTY}b":             "ab",
		"<${env:ROWS}|${env:ROWS}>":  "<1234|1234>",
		"${env:NESTED}":              "${env:CDCD_MYSQL_PASSWORD}",
		"${env:STRUCTURE}":           "x\nuser: evil # {",
		"${file:/run/secret}":        "from file\n",
		"${file:/run/crlf}":          "from dos",
		"${cred:cdcd.mysql.p}":       "from cred",
		"$${env:ROWS}":               "${env:ROWS}",
		"$$${env:ROWS}":              "$${env:ROWS}",
		"$${${env:ROWS}}":            "${1234}",
		"$ROWS $$ {x}":               "$ROWS $$ {x}",
	}
	for in, want := range tests {
		text := strings.Replace(minimal, "user: cdcd", "user: cdcd, password: '"+in+"'", 1)
		c, _ := mustLoad(t, testEnv(text))
		if got := c.Source.Password.Reveal(); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	c, _ := mustLoad(t, testEnv(minimal+"commit: {max_rows: '${env:ROWS}'}"))
	if c.Commit.MaxRows != 1234 {
		t.Error(c.Commit.MaxRows)
	}
}

// TestErrorsHideSecrets loads passwords that cannot be read, from the file and by reference.
func TestErrorsHideSecrets(t *testing.T) {
	for _, text := range []string{
		strings.Replace(minimal, "user: cdcd", "user: cdcd, password: 'hunter2${hunter2:x}'", 1),
		strings.Replace(minimal, "user: cdcd", "user: cdcd, password: 'hunter2${'", 1),
		strings.Replace(minimal, "127.0.0.1", "'cdcd:hunter2@db'", 1),
		strings.Replace(minimal, "127.0.0.1", "'mysql://cdcd:hunter2@db:3306'", 1),
		minimal + "log: {level: '${env:P}', format: '${env:P}'}\nnamespace: '${env:P} '\n",
		minimal + "commit: {interval: '${env:P}', max_bytes: '${env:P}', max_rows: '${env:P}'}\n",
		strings.ReplaceAll(minimal, "/var/lib/cdcd", "'${env:P}'"),
		strings.ReplaceAll(minimal, "shop", "'${env:P}!'"),
	} {
		env := testEnv(text)
		env.vars["P"] = "hunter2"
		_, _, err := Load(mainFile, env)
		if err == nil {
			t.Errorf("accepted:\n%s", text)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("shown: %v", err)
		}
	}
}
