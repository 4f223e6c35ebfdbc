//! Grouping factors from integers: which levels there are, and their numbers.

use std::collections::HashMap;

/// Per value the number of its level, from 1, and the levels in ascending order. Values in a narrow range are counted, others
/// hashed, so that the time is proportional to their number.
pub fn number_levels(values: &[i32]) -> (Vec<i32>, Vec<i32>) {
    let (Some(&least), Some(&most)) = (values.iter().min(), values.iter().max()) else {
        return (Vec::new(), Vec::new());
    };
    let width = (i64::from(most) - i64::from(least) + 1) as usize;
    if width <= 4 * values.len() + 1024 {
        count(values, least, width)
    } else {
        hash(values)
    }
}

fn count(values: &[i32], least: i32, width: usize) -> (Vec<i32>, Vec<i32>) {
    let place = |value: i32| (i64::from(value) - i64::from(least)) as usize;
    let mut number = vec![0; width];
    values.iter().for_each(|&v| number[place(v)] = 1);
    let mut levels = Vec::new();
    for (at, number) in number.iter_mut().enumerate().filter(|(_, number)| **number > 0) {
        levels.push((i64::from(least) + at as i64) as i32);
        *number = levels.len() as i32;
    }
    (values.iter().map(|&v| number[place(v)]).collect(), levels)
}

fn hash(values: &[i32]) -> (Vec<i32>, Vec<i32>) {
    let mut seen = HashMap::new();
    let mut found = Vec::new();
    let mut first_seen = |value: i32| -> u32 {
        *seen.entry(value).or_insert_with(|| {
            found.push(value);
            found.len() as u32 - 1
        })
    };
    let order: Vec<u32> = values.iter().map(|&value| first_seen(value)).collect();
    let mut levels = found.clone();
    levels.sort_unstable();
    (1..).zip(&levels).for_each(|(number, level)| {
        seen.insert(*level, number);
    });
    let number: Vec<i32> = found.iter().map(|value| seen[value] as i32).collect();
    (order.into_iter().map(|at| number[at as usize]).collect(), levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_number_the_sorted_levels() {
        let values = [7, -3, 7, 12, 0, -3];
        let expected = (vec![3, 1, 3, 4, 2, 1], vec![-3, 0, 7, 12]);
        assert_eq!(number_levels(&values), expected);
        assert_eq!(hash(&values), expected);
    }

    #[test]
    fn the_whole_range_of_integers_is_taken() {
        let values = [i32::MAX, i32::MIN + 1, 0, i32::MAX];
        assert_eq!(number_levels(&values), (vec![3, 1, 2, 3], vec![i32::MIN + 1, 0, i32::MAX]));
        assert_eq!(number_levels(&[]), (Vec::new(), Vec::new()));
    }
}
