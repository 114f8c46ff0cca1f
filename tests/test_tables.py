"""Tables of results, letter by letter."""
import numpy as np

from utils.score import masks, tables


def test_markdown_leaves_blank_what_was_not_scored():
    rows = [('a', {'f1': 1.0, 'd': float('nan')}), ('mean', {'f1': 0.12345, 'd': 'text'})]
    assert tables.markdown(rows, ('f1', 'd')) == (
        '| | f1 | d |\n| --- | --- | --- |\n| a | 1.000 |  |\n| mean | 0.123 | text |\n')
    assert tables.markdown(rows, {'f1': 'F1'}, corner='stack', form='%.1f').splitlines() == [
        '| stack | F1 |', '| --- | --- |', '| a | 1.0 |', '| mean | 0.1 |']


def test_spread_is_of_a_sample():
    assert tables.spread([0.7, 0.8]) == '0.750 +- 0.071' and tables.spread([0.5]) == '0.500'


def test_csv_writes_floats_by_the_form_and_the_rest_as_it_is(tmp_path):
    path = tmp_path / 'made/here.csv'
    tables.write_csv(str(path), [{'a': 1.0, 'b': 7, 'c': 'x,y'},
                                 {'a': np.float32(0.25), 'b': True, 'c': '3.0'}],
                     columns=('c', 'a', 'b'), form='%.2f')
    assert path.read_bytes() == b'c,a,b\r\n"x,y",1.00,7\r\n3.0,0.25,True\r\n'


def test_comparison_has_means_and_deviations_by_region(tmp_path):
    base = {m: 0.5 for m in masks.MEASURES}
    rows = [dict(base, arm='mpgan', seed=s, region=r, dice=d)
            for r in ('ends', 'whole') for s, d in ((1, 0.7), (2, 0.8))]
    rows.append(dict(base, arm='otsu', seed=1, region='whole'))
    text = tables.write_comparison(str(tmp_path), rows, measures=masks.HEADINGS, title='a stack',
                                   regions={'whole': 'everything', 'ends': 'two ends'})
    assert '| mpgan | 0.750 +- 0.071 |' in text and '| otsu | 0.500 |' in text
    assert text.splitlines()[:4] == [
        'a stack', '', 'On everything:', '']
    assert text.splitlines()[4].startswith('| arm | Dice | IoU |')
    assert text.index('everything') < text.index('otsu') < text.index('On two ends:')
    assert text.splitlines()[-1].endswith('| 0.5 +- 0.0 |')           # components, one decimal
    assert (tmp_path / 'segmentation.md').read_text() == text
    lines = (tmp_path / 'segmentation.csv').read_text().splitlines()
    assert len(lines) == 6 and lines[1].startswith('whole,mpgan,1,0.70000,0.50000')
