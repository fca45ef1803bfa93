-- Numbers of two bytes by which rows of one unit, or of one owner, are found without reading the names of all: the last two bytes of the name.
-- Others may have the same number, so that the name is compared too.

ALTER TABLE position_change ADD COLUMN unit_tag USMALLINT;
ALTER TABLE position_change ALTER COLUMN unit_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(unit_id[-2:]) AS USMALLINT);
ALTER TABLE position_change ALTER COLUMN unit_tag SET NOT NULL;

ALTER TABLE position_change ADD COLUMN owner_tag USMALLINT;
ALTER TABLE position_change ALTER COLUMN owner_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(owner[-2:]) AS USMALLINT);
ALTER TABLE position_change ALTER COLUMN owner_tag SET NOT NULL;

ALTER TABLE position_current ADD COLUMN unit_tag USMALLINT;
ALTER TABLE position_current ALTER COLUMN unit_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(unit_id[-2:]) AS USMALLINT);
ALTER TABLE position_current ALTER COLUMN unit_tag SET NOT NULL;

ALTER TABLE position_current ADD COLUMN owner_tag USMALLINT;
ALTER TABLE position_current ALTER COLUMN owner_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(owner[-2:]) AS USMALLINT);
ALTER TABLE position_current ALTER COLUMN owner_tag SET NOT NULL;

ALTER TABLE account_change ADD COLUMN unit_tag USMALLINT;
ALTER TABLE account_change ALTER COLUMN unit_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(unit_id[-2:]) AS USMALLINT);
ALTER TABLE account_change ALTER COLUMN unit_tag SET NOT NULL;

ALTER TABLE account_change ADD COLUMN owner_tag USMALLINT;
ALTER TABLE account_change ALTER COLUMN owner_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(owner[-2:]) AS USMALLINT);
ALTER TABLE account_change ALTER COLUMN owner_tag SET NOT NULL;

ALTER TABLE account_current ADD COLUMN unit_tag USMALLINT;
ALTER TABLE account_current ALTER COLUMN unit_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(unit_id[-2:]) AS USMALLINT);
ALTER TABLE account_current ALTER COLUMN unit_tag SET NOT NULL;

ALTER TABLE account_current ADD COLUMN owner_tag USMALLINT;
ALTER TABLE account_current ALTER COLUMN owner_tag SET DATA TYPE USMALLINT USING CAST('0x0' || hex(owner[-2:]) AS USMALLINT);
ALTER TABLE account_current ALTER COLUMN owner_tag SET NOT NULL;
