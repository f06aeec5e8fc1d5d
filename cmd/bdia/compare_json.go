package main

// groupsJSON are groups for machines: names of runs, and means and standard deviations by the keys of runs.
func groupsJSON(groups []comparedGroup) (list []map[string]any) {
	for _, g := range groups {
		var rows []map[string]any
		for _, row := range g.rows {
			settings, numbers := map[string]string{}, map[string]any{}
			var names []string
			for _, r := range row.runs {
				names = append(names, r.Run)
			}
			for _, name := range g.differing() {
				settings[name] = row.setting(name)
			}
			for _, c := range comparedColumns {
				if s := row.statOf(c.of); s.n > 0 {
					numbers[c.key] = map[string]float64{"mean": s.mean, "sd": s.sd}
				}
			}
			rows = append(rows, map[string]any{"name": row.name, "runs": names, "settings": settings, "numbers": numbers})
		}
		list = append(list, map[string]any{"title": g.title, "rows": rows})
	}
	return list
}
