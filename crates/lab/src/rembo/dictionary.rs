//! The fixed words of the sample workload.

/// A territory: country, region, city, and the currency that sales there are in.
pub(super) type Territory = (&'static str, &'static str, &'static str, &'static str);

/// Territories 1 to 11.
pub(super) const TERRITORIES: [Territory; 11] = [
    ("South Africa", "Western Cape", "Cape Town", "ZAR"),
    ("South Africa", "Gauteng", "Johannesburg", "ZAR"),
    ("Nigeria", "Lagos", "Lagos", "NGN"),
    ("Egypt", "Cairo", "Cairo", "EGP"),
    ("Kenya", "Nairobi", "Nairobi", "KES"),
    ("Rwanda", "Kigali City", "Kigali", "RWF"),
    ("Ghana", "Greater Accra", "Accra", "GHS"),
    ("Ethiopia", "Addis Ababa", "Addis Ababa", "ETB"),
    ("Cameroon", "Douala", "Douala", "XAF"),
    ("Tanzania", "Dar es Salaam", "Dar es Salaam", "TZS"),
    ("Morocco", "Casablanca", "Casablanca", "MAD"),
];

/// Employees 1 to 5.
pub(super) const EMPLOYEES: [&str; 5] = ["John Ruto", "Jeanne Ingabire", "Bob Johnson", "Mary Mputu", "Mike Wilson"];

pub(super) const EDUCATION: [&str; 5] = ["Bachelor", "Master", "Phd", "Primary", "College"];
pub(super) const OCCUPATION: [&str; 5] = ["Footballer", "Military", "Public Servant", "Lawyer", "Trader"];
pub(super) const MARITAL_STATUS: [&str; 2] = ["Single", "Married"];
pub(super) const MALE_TITLES: [&str; 2] = ["Mr.", "Sir"];
pub(super) const FEMALE_TITLES: [&str; 4] = ["Mrs.", "Miss", "Ms.", "Madam"];
/// The empty one is a text, not NULL: the difference has to survive the way to ClickHouse.
pub(super) const NAME_STYLES: [&str; 3] = ["", "western", "eastern"];
