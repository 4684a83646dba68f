package main

import (
	"context"
	"errors"
	"fmt"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/table"
)

// openLake opens the lake's catalog. With create it is made where there is none.
func openLake(ctx context.Context, c config.Config, create bool) (table.Lake, error) {
	lake, err := openCatalog(ctx, c, create)
	if errors.Is(err, table.ErrNoCatalog) {
		return nil, coded{exitLater, fmt.Errorf("%w: cdcd run makes it", err)}
	}
	return lake, err
}

func openCatalog(ctx context.Context, c config.Config, create bool) (table.Lake, error) {
	at := c.Catalog
	switch at.Type {
	case config.CatalogJDBC:
		return interfaced(table.OpenJDBC(ctx, table.JDBCConfig{URI: at.URI.Reveal(), Name: at.Name, Location: c.Warehouse.Location, Create: create}))
	case config.CatalogREST:
		return interfaced(table.OpenREST(ctx, table.RESTConfig{
			URI: at.URI.Reveal(), Warehouse: at.Warehouse, Credential: at.Credential.Reveal(), TokenURI: at.TokenURI,
			Scope: at.Scope, Token: at.Token.Reveal(), Location: c.Warehouse.Location,
		}))
	}
	return interfaced(table.OpenEmbedded(c.Warehouse.Location, create))
}

// interfaced keeps a nil pointer out of an interface.
func interfaced[L table.Lake](lake L, err error) (table.Lake, error) {
	if err != nil {
		return nil, err
	}
	return lake, nil
}

// foreignCatalog reports a catalog that is not ours, and so may not keep what commits rest on.
func foreignCatalog(c config.Config) bool { return c.Catalog.Type != config.CatalogEmbedded }

// probe tries a foreign catalog before the pipeline's first write to it.
func (d *daemon) probe(ctx context.Context, lake table.Lake) error {
	if !foreignCatalog(d.cfg) {
		return nil
	}
	heads, err := lakeTables(ctx, lake, d.cfg.Pipeline)
	if err != nil || len(heads) > 0 {
		return err
	}
	d.logger.Info("trying the catalog", "type", d.cfg.Catalog.Type, "uri", d.cfg.Catalog.URI.String())
	return table.Probe(ctx, lake, nil)
}

// checkCatalog tries a foreign catalog. What keeps it from being used is among the problems.
func checkCatalog(ctx context.Context, c config.Config) ([]capture.Problem, error) {
	if !foreignCatalog(c) {
		return nil, nil
	}
	lake, err := openLake(ctx, c, true)
	if err == nil {
		err = errors.Join(table.Probe(ctx, lake, nil), lake.Close())
	}
	switch {
	case errors.Is(err, table.ErrCatalogUnfit):
		return []capture.Problem{{What: err.Error(), Repair: "catalog: {type: embedded}"}}, nil
	case errors.Is(err, table.ErrCatalogAccess):
		return []capture.Problem{{What: err.Error()}}, nil
	}
	return nil, err
}
