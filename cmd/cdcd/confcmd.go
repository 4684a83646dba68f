package main

// confCmd is cdcd config.
type confCmd struct {
	Show confShowCmd `cmd:"" help:"Print the configuration in force, secrets hidden."`
}

// confShowCmd is cdcd config show.
type confShowCmd struct {
	Origins bool `help:"Say where each key is set."`
}

// Run prints the configuration.
func (s *confShowCmd) Run(c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	return cfg.Print(c.out, s.Origins)
}
