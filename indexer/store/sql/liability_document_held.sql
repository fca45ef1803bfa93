SELECT 1 FROM liability_document WHERE digest = $digest AND key = $key LIMIT 1
